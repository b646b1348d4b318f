"""The card of a trained model, as JSON beside its weights. Loads no PyTorch."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, PlainSerializer, TypeAdapter

from models.network.architecture import WeightsOrigin
from models.rules.certificates import Certificates
from models.rules.noise.rules import NoiseRules
from models.training.presets import Preset
from schemas.errors import UserError
from schemas.files import write_whole
from schemas.taxonomy import Taxonomy

CARD = "model.json"
FORMAT = 2  # of a model's folder: raised where models of before cannot be read. 2: heads answer "none of these values"
WEIGHTS = "model.safetensors"

Metrics = dict[str, dict[str, float | int]]  # attribute → name of a metric → its value


def _taxonomy(value: object) -> object:
    return Taxonomy.from_dict(value) if isinstance(value, dict) else value


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a model is, where it comes from and what it promises."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    version: str
    created_at: str
    preset: Preset
    taxonomy: Annotated[Taxonomy, BeforeValidator(_taxonomy), PlainSerializer(Taxonomy.to_dict)]
    image_size: tuple[int, int]
    context_length: int
    trims_titles: bool
    weights: str  # SHA-256 of the file
    target_precision: float
    confidence: float
    certificates: Certificates  # made on the outputs of the reference engine
    noise: NoiseRules
    feeds: list[str]  # whose listings it learned from
    listings: dict[str, int]  # by split
    history: dict[str, list[float]]  # validation accuracy after each epoch, by stage
    metrics: Metrics  # on the test split
    picture_weights: WeightsOrigin | None = None  # that the picture tower's trunk started from
    format: int = FORMAT


class OutdatedModel(UserError):
    """The model is of another version of cma-tagger, and cannot be used by this one."""


_JSON = TypeAdapter(ModelCard)


def write_card(card: ModelCard, folder: Path) -> None:
    """Writes the last file of a model: a folder without a card is no model."""
    write_whole(folder / CARD, json.dumps(_JSON.dump_python(card, mode="json"), indent=1))


def read_card(folder: Path) -> ModelCard:
    """The card of the model in `folder`. UserError where it is missing or damaged, OutdatedModel where it is of another
    version."""
    try:
        text = (folder / CARD).read_bytes()
        stored = json.loads(text)
        found = stored.get("format", 1) if isinstance(stored, dict) else FORMAT
        if found != FORMAT:
            raise OutdatedModel(
                f"{folder / CARD} is of another version of cma-tagger (format {found}, this version reads {FORMAT}), "
                "whose heads cannot answer that a listing has none of the values: train again with `cma train`"
            )
        return _JSON.validate_json(text)
    except FileNotFoundError as error:
        raise UserError(f"{folder} holds no model ({CARD} is missing): train one with `cma train`") from error
    except OutdatedModel:
        raise
    except (ValueError, UserError) as error:
        raise UserError(
            f"{folder / CARD} is damaged or of another version of cma-tagger ({type(error).__name__}: {error}): "
            "restore it from a backup, or train again with `cma train`"
        ) from error
