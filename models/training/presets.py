"""What a network is made of and how it is trained, by name: `vit-b-32` is the paper's, `small` trains on a CPU."""

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from models.network.architecture import Architecture
from schemas.errors import ConfigurationError
from schemas.taxonomy import Taxonomy

if TYPE_CHECKING:
    from models.network.cma_clip import CmaClip

Part = Literal["image_tower", "title_tower", "probes", "sequence_attention", "modality_attention", "heads"]

_TOWERS: tuple[Part, ...] = ("image_tower", "title_tower")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of Algorithm 1: which parts move, for how many passes over the data, at which learning rate."""

    name: str
    parts: tuple[Part, ...]
    epochs: int
    learning_rate: float
    schedule: Literal["constant", "one-cycle"] = "constant"
    title_dropout: float = 0.0  # of the numbers of each token's embedding

    @property
    def moves_heads_only(self) -> bool:
        """Whether I′ and T′ cannot change in this stage."""
        return not {*_TOWERS, "sequence_attention", "probes"} & set(self.parts)

    def reads(self, tower: Part) -> bool:
        """Whether the stage looks at a tower's outputs; one that moves a single tower leaves the other aside."""
        return tower in self.parts or not self.moves_towers

    @property
    def moves_both_towers(self) -> bool:
        return {*_TOWERS} <= set(self.parts)

    @property
    def moves_towers(self) -> bool:
        return bool({*_TOWERS} & set(self.parts))


@dataclass(frozen=True, kw_only=True)
class Preset:
    """An architecture and its training. `batch` is reached by accumulating `micro_batch`es. What the paper does not
    have is off unless a preset turns it on; docs/results says what each brought."""

    name: str
    architecture: Architecture
    pretrained: str | None
    stages: tuple[Stage, ...]
    batch: int = 1024
    micro_batch: int = 64
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: float = 1e-4
    augment: bool = False
    modality_dropout: float = 0.0  # share of training listings whose picture or title (evenly) is masked
    token_dropout: float = 0.0  # share of title tokens that are blotted out in training
    swapped: float = 0.0  # share of training listings shown under another's title or picture (evenly)
    mixup: float = 0.0  # share of micro-batches whose pictures are mixed, while only towers and probes move
    label_smoothing: float = 0.0
    distillation: float = 0.0  # the share of the targets that is said by the classical baseline (baselines/teacher.py)
    noise_tolerance: float = 0.0  # q of the generalised cross-entropy; 0 is the cross-entropy
    logit_adjustment: float = 0.0  # τ: rare values count as much as frequent ones at 1
    contrastive_weight: float = 0.0
    matching_weight: float = 0.0
    ema: float = 0.0  # decay of the moving average of the weights; 0: none
    text_rate: float = 1.0  # the title tower's learning rate, as a multiple of the stage's
    probes_train_towers: bool = False
    pools_probes: bool = False  # tags are what heads and probes say together (opinion_pool.py), not the heads alone
    seed: int = 0

    def build(self, taxonomy: Taxonomy, *, load_pretrained: bool) -> "CmaClip":
        """Builds the network of this preset: with its pretrained weights, or to load trained ones into."""
        from models.network.build import build_network  # PyTorch, which reading a preset does not need

        return build_network(
            self.architecture,
            taxonomy,
            pretrained=self.pretrained,
            seed=self.seed,
            load_pretrained=load_pretrained,
        )

    def varies_listings(self, stage: Stage) -> bool:
        """Whether a listing looks different each time that it is trained on; then no tower's outputs can be kept."""
        return self.augment or self.token_dropout > 0 or stage.title_dropout > 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Preset":
        stages = tuple(Stage(**{**stage, "parts": tuple(stage["parts"])}) for stage in data["stages"])
        return cls(**{**data, "architecture": Architecture(**data["architecture"]), "stages": stages})


_WARM_UP: tuple[Part, ...] = ("probes", "sequence_attention", "modality_attention", "heads")
_END_TO_END: tuple[Part, ...] = (*_TOWERS, *_WARM_UP)
_TUNING: tuple[Part, ...] = ("modality_attention", "heads")

_small_fusion = partial(Stage, schedule="one-cycle", title_dropout=0.3)

PRESETS = {
    "vit-b-32": Preset(
        name="vit-b-32",
        architecture=Architecture(backbone="ViT-B-32-quickgelu", attention_layers=12, attention_heads=8, hidden=512),
        pretrained="openai",
        stages=(
            Stage(name="warm-up", parts=_WARM_UP, epochs=10, learning_rate=1e-5),
            Stage(name="end-to-end", parts=_END_TO_END, epochs=10, learning_rate=1e-5),
            Stage(name="tuning", parts=_TUNING, epochs=10, learning_rate=1e-5),
        ),
    ),
    "small": Preset(
        name="small",
        architecture=Architecture(backbone="cma-small", attention_layers=2, attention_heads=4, hidden=128, dropout=0.1),
        pretrained=None,
        # There is no CLIP of this size to start from: two stages before Algorithm 1 make the towers, each by itself,
        # since titles are learned by heart in a tenth of the epochs that pictures need.
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

# For the paper's public data sets: see docs/published-data.md for what could be learnt of their schedules.
PRESETS |= {name: replace(PRESETS["vit-b-32"], name=name) for name in ("food-101", "fashion-gen")}


def preset(
    name: str,
    *,
    backbone: str | None = None,
    pretrained: str | None = None,
    epochs: dict[str, int] | None = None,
) -> Preset:
    """A preset, with another open_clip model, other weights, or other epochs of named stages put in."""
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
