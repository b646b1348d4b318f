"""The card of a compiled engine, as JSON in the model's folder. Loads no PyTorch."""

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from models.engines.interface import EngineIdentity
from models.lifecycle.card import Metrics
from models.lifecycle.gate import Gate
from models.rules.certificates import Certificates
from schemas.files import write_whole


@dataclass(frozen=True)
class EngineCard:
    """The identity of a compiled engine, its gate, and the certificates and metrics of its own outputs."""

    backend: str
    identity: EngineIdentity
    weights: str  # SHA-256 of the model's weights that it was compiled from
    gate: Gate
    certificates: Certificates
    metrics: Metrics  # on the test split
    onnx: str | None = None  # SHA-256 of the ONNX file, where the engine reads it whenever it is opened

    def write(self, folder: Path) -> None:
        path = _card_path(folder, self.backend)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(_JSON.dump_python(self, mode="json"), indent=1))

    @classmethod
    def read(cls, folder: Path, backend: str) -> "EngineCard | None":
        """The card of the model's engine. None where it was never compiled, or the card is damaged or of another
        version."""
        try:
            return _JSON.validate_json(_card_path(folder, backend).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None


_JSON = TypeAdapter(EngineCard)


def _card_path(folder: Path, backend: str) -> Path:
    return folder / "engines" / f"{backend}.json"
