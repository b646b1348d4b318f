"""What is known of a model's engines, beside the model. Reading it loads no PyTorch."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from models.engines.interface import EngineIdentity
from models.lifecycle.card import ModelCard, write_card
from models.lifecycle.gate import Gate
from models.rules.certificates import Certificates
from schemas.files import write_whole

ONNX = "encoder.onnx"
EngineName = Literal["auto", "tensorrt", "cuda", "openvino", "torch"]


@dataclass(frozen=True)
class EngineCard:
    """What the gate found of an engine, and the certificates made on its own outputs (JSON)."""

    backend: str
    identity: EngineIdentity
    weights: str
    gate: Gate
    certificates: Certificates
    metrics: dict[str, dict[str, float]]
    onnx: str | None = None  # SHA-256 of the file that the engine is compiled from as it is opened; null: it is not

    def write(self, folder: Path) -> None:
        path = _card_path(folder, self.backend)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps({**asdict(self), "gate": self.gate.to_dict()}, indent=1))

    @classmethod
    def read(cls, folder: Path, backend: str) -> "EngineCard | None":
        path = _card_path(folder, backend)
        if not path.exists():
            return None
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            data["gate"].pop("passed")
            return cls(
                backend=data["backend"],
                identity=EngineIdentity(**data["identity"]),
                weights=data["weights"],
                gate=Gate(**data["gate"]),
                certificates=Certificates.from_dict(data["certificates"]),
                metrics=data["metrics"],
                onnx=data.get("onnx"),
            )
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
        ):  # damaged, or of another version: as good as not compiled
            return None


def certificates_on(folder: Path, card: ModelCard, backend: str) -> Certificates:
    """What is certified on the outputs of this backend; the reference's are the model's own until it is compiled."""
    built = EngineCard.read(folder, backend)
    return built.certificates if built and built.weights == card.weights else card.certificates


def store_certificates(folder: Path, card: ModelCard, backend: str, certificates: Certificates) -> None:
    """Puts them where `certificates_on` finds them, in one step."""
    built = EngineCard.read(folder, backend)
    if built and built.weights == card.weights:
        replace(built, certificates=certificates).write(folder)
    else:
        write_card(replace(card, certificates=certificates), folder)


def _card_path(folder: Path, backend: str) -> Path:
    return folder / "engines" / f"{backend}.json"
