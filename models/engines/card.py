"""What is known of a model's engines without opening one. Reading it loads no PyTorch, but where TensorRT is there."""

import json
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from models.calibration import Certificates
from models.card import ModelCard, write_card, write_whole
from models.engines.gate import Gate
from models.engines.protocol import EngineIdentity
from models.engines.tensorrt.presence import missing
from schemas.errors import ConfigurationError

EngineName = Literal["auto", "tensorrt", "openvino", "torch"]


@dataclass(frozen=True)
class EngineCard:
    """What the gate found of an engine, and the certificates made on its own outputs (JSON)."""

    backend: str
    identity: EngineIdentity
    weights: str
    gate: Gate
    certificates: Certificates
    metrics: dict[str, dict[str, float]]

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
            )
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
        ):  # damaged, or of another version: as good as not compiled
            return None


def chosen_backend(folder: Path, card: ModelCard, name: EngineName) -> tuple[EngineName, str | None]:
    """The backend that `open_engine` would use, and why it is not the first choice (None: it is)."""
    backend = choose_backend(name)
    trouble = None if backend == "torch" else trouble_with(EngineCard.read(folder, backend), card)
    return ("torch", f"the {backend} engine {trouble}") if trouble and name == "auto" else (backend, None)


def identity_of(folder: Path, backend: str) -> EngineIdentity:
    """Of the engine that `open_engine` opens for a chosen backend."""
    built = EngineCard.read(folder, backend)
    if backend == "torch" or built is None:
        return EngineIdentity("torch", version("torch"), "cpu", "float32")
    return built.identity


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


def choose_backend(name: EngineName) -> EngineName:
    """What `tag.engine` means on this machine: `auto` is TensorRT where it can run, else OpenVINO."""
    if name == "auto":
        return "openvino" if missing() else "tensorrt"
    if name == "tensorrt" and (trouble := missing()):
        raise ConfigurationError(f"tag.engine: {trouble}; or set tag.engine to auto, openvino or torch")
    return name


def trouble_with(built: EngineCard | None, card: ModelCard) -> str | None:
    if built is None:
        return "has not been compiled"
    if built.weights != card.weights:
        return "was compiled from other weights"
    if not built.gate.passed:
        return f"failed its gate ({built.gate})"
    return None


def _card_path(folder: Path, backend: str) -> Path:
    return folder / "engines" / f"{backend}.json"
