"""What a model is and promises, as JSON beside its weights. Reading it loads no PyTorch."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.rules.certificates import Certificates
from models.rules.noise import NoiseRules
from models.training.presets import Preset
from schemas.errors import UserError
from schemas.files import write_whole
from schemas.taxonomy import Taxonomy

if TYPE_CHECKING:
    from models.inputs.preprocessing import Processor

CARD = "model.json"
WEIGHTS = "model.safetensors"


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a model is, where it comes from and what it promises (JSON; `weights` is their SHA-256)."""

    version: str
    created_at: str
    preset: Preset
    taxonomy: Taxonomy
    image_size: tuple[int, int]
    context_length: int
    trims_titles: bool
    weights: str
    target_precision: float
    confidence: float
    certificates: Certificates  # on the reference's outputs
    noise: NoiseRules
    feeds: list[str]  # that it learned from
    listings: dict[str, int]
    history: dict[str, list[float]]
    metrics: dict[str, dict[str, float]]

    def to_dict(self) -> dict[str, Any]:
        structured = {
            "preset": self.preset.to_dict(),
            "taxonomy": self.taxonomy.to_dict(),
            "certificates": self.certificates.to_dict(),
            "noise": self.noise.to_dict(),
        }
        return {**self.__dict__, **structured}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "ModelCard":
        structured = {
            "preset": Preset.from_dict(data["preset"]),
            "taxonomy": Taxonomy.from_dict(data["taxonomy"]),
            "certificates": Certificates.from_dict(data["certificates"]),
            "noise": NoiseRules.from_dict(data["noise"]),
            "image_size": tuple(data["image_size"]),
        }
        return cls(**{**data, **structured})

    def processor(self) -> "Processor":
        from models.inputs.preprocessing import Processor  # PyTorch, which reading a card does not need

        return Processor(
            backbone=self.preset.architecture.backbone,
            image_size=self.image_size,
            context_length=self.context_length,
            trims_titles=self.trims_titles,
        )


def write_card(card: ModelCard, folder: Path) -> None:
    """The last file of a model: a folder without it is no model."""
    write_whole(folder / CARD, json.dumps(card.to_dict(), indent=1))


def read_card(folder: Path) -> ModelCard:
    try:
        return ModelCard.from_dict(json.loads((folder / CARD).read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise UserError(f"{folder} holds no model ({CARD} is missing): train one with `cma train`") from error
    except (ValueError, KeyError, TypeError, AttributeError, UserError) as error:
        raise UserError(
            f"{folder / CARD} is damaged or of another version of cma-tagger ({type(error).__name__}: {error}): "
            "restore it from a backup, or train again with `cma train`"
        ) from error
