"""Presets: named architectures with their training. `vit-b-32` is the paper's, `small` trains on a CPU."""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict, model_validator

from models.network.architecture import Architecture
from models.training.parts import TOWERS, Part, Stage
from schemas.errors import ConfigurationError, UserError
from schemas.taxonomy import Taxonomy

if TYPE_CHECKING:
    from models.network.cma_clip import CmaClip

_REMOVED = ("noise_tolerance", "logit_adjustment")  # options that brought nothing (docs/results/options.md); 0 was off


@dataclass(frozen=True, kw_only=True)
class Preset:
    """An architecture and its training. Options that the paper does not have are off by default."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    architecture: Architecture
    pretrained: str | None  # open_clip's name of the towers' weights, or a file; None: random weights
    stages: tuple[Stage, ...]
    batch: int = 1024  # listings per optimizer step (the paper, 4.2.1)
    micro_batch: int = 64  # listings per forward pass; gradients add up to those of the batch
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: float = 1e-4
    # Mirrors and shifts pictures (decision 1).
    augment: bool = False
    # Share of training listings whose picture or title (evenly) is masked (decision 9: +1.3 points of recall).
    modality_dropout: float = 0.0
    # Share of title tokens replaced by another in training (decision 1; since decision 7 `title_dropout` does better).
    token_dropout: float = 0.0
    # Share of training listings under another's title or picture, evenly (decision 9).
    swapped: float = 0.0
    # Share of micro-batches whose pictures are mixed in pairs, while the image tower trains by itself (decision 7).
    mixup: float = 0.0
    # Share of a label's probability that is spread over all values (decision 9: no difference beside distillation).
    label_smoothing: float = 0.0
    # Share of the loss that is taken against the classical baseline's soft targets (decision 8).
    distillation: float = 0.0
    # Weight of CLIP's loss in stages that move both towers (docs/results/options.md: for picture–title similarity).
    contrastive_weight: float = 0.0
    # Weight of the matching loss, which tells swapped pairs of picture and title from own ones (decision 9).
    matching_weight: float = 0.0
    # Decay of the moving average of the weights; 0: none (decision 7, docs/results/options.md).
    ema: float = 0.0
    # The title tower's learning rate, as a multiple of the stage's (never measured apart from the rest of `small`).
    text_rate: float = 1.0
    # Gradients of the probes reach the towers, as towers from random weights need (decision 1).
    probes_train_towers: bool = False
    # Tags are read off heads and probes together (opinion_pool.py), not off the heads alone (decision 10).
    pools_probes: bool = False
    seed: int = 0

    def build(self, taxonomy: Taxonomy, *, load_pretrained: bool) -> "CmaClip":
        """The network, with the preset's pretrained weights if `load_pretrained`, else to load trained ones into."""
        from models.network.build import build_network  # PyTorch, which reading a preset does not need

        return build_network(
            self.architecture,
            taxonomy,
            pretrained=self.pretrained,
            seed=self.seed,
            load_pretrained=load_pretrained,
        )

    def varies_listings(self, stage: Stage) -> bool:
        """Whether inputs change at random from epoch to epoch, so that outputs of frozen towers cannot be cached."""
        return self.augment or self.token_dropout > 0 or stage.title_dropout > 0

    @model_validator(mode="before")
    @classmethod
    def _without_removed_options(cls, stored: object) -> object:
        """Lets presets be read that were stored before options were removed. `UserError` if one of them was on."""
        if not isinstance(stored, dict):
            return stored
        for option in _REMOVED:
            if stored.get(option):
                raise UserError(f"preset: the option {option} ({stored[option]}) was removed; only 0 can still be read")
        return {name: value for name, value in stored.items() if name not in _REMOVED}


_WARM_UP: tuple[Part, ...] = ("probes", "sequence_attention", "modality_attention", "heads")
_END_TO_END: tuple[Part, ...] = (*TOWERS, *_WARM_UP)
_TUNING: tuple[Part, ...] = ("modality_attention", "heads")

_small_fusion = partial(Stage, schedule="one-cycle", title_dropout=0.3)

PRESETS = {
    "vit-b-32": Preset(
        name="vit-b-32",
        architecture=Architecture(backbone="ViT-B-32-quickgelu", attention_layers=12, attention_heads=8, hidden=512),
        pretrained="openai",
        stages=(
            Stage(name="warm-up", parts=_WARM_UP, epochs=20, learning_rate=1e-5),
            Stage(name="end-to-end", parts=_END_TO_END, epochs=20, learning_rate=1e-5),
            Stage(name="tuning", parts=_TUNING, epochs=20, learning_rate=1e-5),
        ),
    ),
    "small": Preset(
        name="small",
        architecture=Architecture(backbone="cma-small", attention_layers=2, attention_heads=4, hidden=128, dropout=0.1),
        pretrained=None,
        # There is no CLIP of this size to start from. Two stages before Algorithm 1 train the towers, one at a time,
        # since titles are memorised in a tenth of the epochs that pictures need.
        stages=(
            Stage(
                name="titles",
                parts=("title_tower", "probes"),
                epochs=24,
                learning_rate=3e-3,
                schedule="one-cycle",
                title_dropout=0.7,
            ),
            Stage(
                name="pictures",
                parts=("image_tower", "probes"),
                epochs=30,
                learning_rate=4e-3,
                schedule="one-cycle",
            ),
            _small_fusion(name="warm-up", parts=_WARM_UP, epochs=5, learning_rate=1e-3),
            _small_fusion(name="end-to-end", parts=_END_TO_END, epochs=2, learning_rate=5e-4),
            _small_fusion(name="tuning", parts=_TUNING, epochs=2, learning_rate=5e-4),
        ),
        batch=32,
        micro_batch=32,
        optimizer="adamw",
        weight_decay=0.05,
        augment=True,
        modality_dropout=0.1,
        swapped=0.2,
        mixup=0.5,
        label_smoothing=0.05,
        distillation=0.5,
        contrastive_weight=0.02,
        matching_weight=0.5,
        ema=0.998,
        text_rate=0.3,
        probes_train_towers=True,
        pools_probes=True,
    ),
}

# The paper's public data sets have one task each, so their training ends with the end-to-end stage (4.2.3).
_PUBLIC_STAGES = tuple(
    replace(stage, epochs=epochs) for stage, epochs in zip(PRESETS["vit-b-32"].stages, (100, 300), strict=False)
)
PRESETS |= {
    name: replace(PRESETS["vit-b-32"], name=name, stages=_PUBLIC_STAGES) for name in ("food-101", "fashion-gen")
}


def preset(
    name: str,
    *,
    backbone: str | None = None,
    pretrained: str | None = None,
    epochs: dict[str, int] | None = None,
) -> Preset:
    """A preset by name. `backbone`, `pretrained` and `epochs` (by stage) replace its own.

    ConfigurationError where there is no such preset or stage.
    """
    if name not in PRESETS:
        raise ConfigurationError(f"model.preset: there is no preset {name!r}; there are {', '.join(PRESETS)}")
    chosen = PRESETS[name]
    if backbone:
        chosen = replace(chosen, architecture=replace(chosen.architecture, backbone=backbone))
    if pretrained:
        chosen = replace(chosen, pretrained=pretrained)
    names = [stage.name for stage in chosen.stages]
    for stage in epochs or {}:
        if stage not in names:
            raise ConfigurationError(f"model.epochs: there is no stage {stage!r}; there are {', '.join(names)}")
    stages = tuple(replace(stage, epochs=(epochs or {}).get(stage.name, stage.epochs)) for stage in chosen.stages)
    return replace(chosen, stages=stages)
