"""An architecture and its training, in one object: what `presets.py` has by name."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict, model_validator

from models.network.architecture import Architecture
from models.training.parts import Stage
from schemas.errors import UserError
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
    picture_weights: str | None = None  # of a `PictureTower`: "imagenet" or a file; None: random weights
    batch: int = 1024  # listings per optimizer step (the paper, 4.2.1)
    micro_batch: int = 64  # listings per forward pass; gradients add up to those of the batch
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: float = 1e-4
    # Mirrors and shifts pictures (decision 1); only mirrors those whose features are cached.
    augment: bool = False
    # Share of training listings whose picture or title is masked (decision 9: +1.3 points of recall).
    modality_dropout: float = 0.0
    # Share of title tokens replaced by another in training (decision 1; since decision 7 `title_dropout` does better).
    token_dropout: float = 0.0
    # Share of training listings under another's title or picture (decision 9).
    swapped: float = 0.0
    # How often it is the title that `modality_dropout` masks and `swapped` swaps, not the picture (decision 16).
    of_titles: float = 0.5
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
    # The learning rate of a picture tower's trunk, as a multiple of the stage's.
    trunk_rate: float = 1.0
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
            picture_weights=self.picture_weights,
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
