"""A model on disk: weights as safetensors, everything else as JSON beside them. Nothing is ever unpickled."""

import json
from dataclasses import asdict, dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from models.backbone import build_backbone
from models.calibration import Calibration
from models.cma_clip import CmaClip
from models.noise import NoiseRules
from models.presets import Preset
from models.processor import Processor
from schemas.errors import UserError
from schemas.taxonomy import Taxonomy

WEIGHTS, CARD = "model.safetensors", "model.json"


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
    calibrations: dict[str, Calibration]
    noise: NoiseRules
    listings: dict[str, int]
    history: dict[str, list[float]]
    metrics: dict[str, dict[str, float]]

    def to_dict(self) -> dict[str, Any]:
        structured = {
            "preset": self.preset.to_dict(),
            "taxonomy": self.taxonomy.to_dict(),
            "calibrations": {name: asdict(calibration) for name, calibration in self.calibrations.items()},
            "noise": self.noise.to_dict(),
        }
        return {**self.__dict__, **structured}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        structured = {
            "preset": Preset.from_dict(data["preset"]),
            "taxonomy": Taxonomy.from_dict(data["taxonomy"]),
            "calibrations": {name: Calibration(**value) for name, value in data["calibrations"].items()},
            "noise": NoiseRules.from_dict(data["noise"]),
            "image_size": tuple(data["image_size"]),
        }
        return cls(**{**data, **structured})

    def processor(self) -> Processor:
        return Processor(
            backbone=self.preset.architecture.backbone,
            image_size=self.image_size,
            context_length=self.context_length,
            trims_titles=self.trims_titles,
        )


def build_network(preset: Preset, taxonomy: Taxonomy, *, load_pretrained: bool) -> CmaClip:
    """The network of a preset for the attributes of a taxonomy; without pretrained weights it is seeded."""
    torch.manual_seed(preset.seed)
    shape = preset.architecture
    from_scratch = preset.pretrained is None and ":" not in shape.backbone  # `hf-hub:` and `local-dir:` bring weights
    return CmaClip(
        build_backbone(
            shape.backbone,
            pretrained=preset.pretrained if load_pretrained else None,
            random_weights=from_scratch or not load_pretrained,
        ),
        classes=[len(attribute.value_names) for attribute in taxonomy.attributes],
        attention_layers=shape.attention_layers,
        attention_heads=shape.attention_heads,
        hidden=shape.hidden,
        dropout=shape.dropout,
    )


def save_weights(network: CmaClip, folder: Path) -> str:
    """Writes the weights; returns their SHA-256."""
    path = folder / WEIGHTS
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}, path)
    return _sha256(path)


def write_card(card: ModelCard, folder: Path) -> None:
    """The last file of a model: a folder without it is no model."""
    (folder / CARD).write_text(json.dumps(card.to_dict(), indent=1), encoding="utf-8")


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


def load_network(folder: Path, card: ModelCard) -> CmaClip:
    """The network with its trained weights, on the CPU, ready to infer."""
    path = folder / WEIGHTS
    if not path.exists() or _sha256(path) != card.weights:
        raise UserError(
            f"{path} is missing or not the file that was trained (its SHA-256 differs from {CARD}): restore it from a "
            "backup, or train again with `cma train`"
        )
    network = build_network(card.preset, card.taxonomy, load_pretrained=False)
    try:
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise UserError(f"{path} does not fit the network that {CARD} describes: {error}") from error
    return network.eval()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
