"""The parts of a network, and the stages of Algorithm 1, each of which moves some of them. Loads no PyTorch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import nn

    from models.network.cma_clip import CmaClip

# The trunk of a `PictureTower` is a part of its own, and its projections are the image tower.
Part = Literal[
    "image_trunk", "image_tower", "title_tower", "probes", "sequence_attention", "modality_attention", "heads"
]

TOWERS: tuple[Part, ...] = ("image_tower", "title_tower")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of Algorithm 1: which parts move, for how many passes over the data, at which learning rate."""

    name: str
    parts: tuple[Part, ...]
    epochs: int
    learning_rate: float
    schedule: Literal["constant", "one-cycle"] = "constant"
    # Share of the numbers of each token's embedding set to 0 in training (decisions 7 and 9).
    title_dropout: float = 0.0
    # Where the epochs would be fewer optimizer steps than this, there are more of them.
    fewest_steps: int = 0
    # How many blocks of the part `image_trunk` move, from the last; None: all of the trunk.
    trunk_blocks: int | None = None

    def __post_init__(self) -> None:
        if self.moves_trunk and "image_tower" not in self.parts:
            raise ValueError(f"stage {self.name}: a stage that moves image_trunk moves image_tower, too")

    def passes(self, steps_per_epoch: int) -> int:
        """The passes over data of so many steps: at least the epochs, and more where the data are few. None at all
        where the stage is left out."""
        return max(self.epochs, -(-self.fewest_steps // steps_per_epoch)) if self.epochs else 0

    @property
    def moves_trunk(self) -> bool:
        return "image_trunk" in self.parts

    @property
    def moves_heads_only(self) -> bool:
        """Whether I′ and T′ cannot change in this stage."""
        return not {*TOWERS, "sequence_attention", "probes"} & set(self.parts)

    def reads(self, tower: Part) -> bool:
        """Whether the stage's loss depends on a tower: a stage that moves one tower does not run the other."""
        return tower in self.parts or not self.moves_towers

    @property
    def moves_both_towers(self) -> bool:
        return {*TOWERS} <= set(self.parts)

    @property
    def moves_towers(self) -> bool:
        return bool({*TOWERS} & set(self.parts))


def freeze_other_parts(network: "CmaClip", stage: Stage) -> None:
    """Gradients reach only the stage's parts. CLIP's logit scale moves if both towers do."""
    for part, modules in _modules(network, stage).items():
        for module in modules:
            module.requires_grad_(part in stage.parts)
    network.backbone.logit_scale.requires_grad_(stage.moves_both_towers)


def set_training_mode(network: "CmaClip", stage: Stage) -> None:
    """Puts the stage's parts into training mode, and the frozen ones into evaluation mode, so that their batch
    statistics do not move. A frozen title tower is in training mode too if the stage has `title_dropout`."""
    for part, modules in _modules(network, stage).items():
        for module in modules:
            module.train(part in stage.parts)
    network.backbone.text.train(stage.title_dropout > 0 or "title_tower" in stage.parts)


def _modules(network: "CmaClip", stage: Stage) -> dict[str, list["nn.Module"]]:
    """The modules of each part, and under `frozen` one that no part moves. A module within another comes after it, so
    that what is done to it last stays."""
    from models.network.picture_tower import PictureTower

    visual, last = network.backbone.visual, stage.trunk_blocks
    has_trunk = isinstance(visual, PictureTower)
    return {
        "image_tower": [visual],
        "frozen": [visual.trunk] if has_trunk else [],
        "image_trunk": ([visual.trunk] if last is None else visual.blocks()[-last:]) if has_trunk else [],
        "title_tower": [network.backbone.text],
        "probes": [network.image_probes, network.title_probes, network.alignments],
        "sequence_attention": [network.sequence_attention, network.matching],
        "modality_attention": [network.modality_attentions],
        "heads": [network.heads],
    }
