"""What is known of a model's engines without opening one. Reading it loads no PyTorch."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from models.calibration import Calibration
from models.card import ModelCard
from models.engines.gate import Gate
from models.engines.protocol import EngineIdentity
from schemas.errors import ConfigurationError

EngineName = Literal["auto", "tensorrt", "openvino", "torch"]


@dataclass(frozen=True)
class EngineCard:
    """What the gate found of an engine, and the thresholds certified on its own outputs (JSON)."""

    backend: str
    identity: EngineIdentity
    weights: str
    gate: Gate
    calibrations: dict[str, Calibration]
    metrics: dict[str, dict[str, float]]

    def write(self, folder: Path) -> None:
        path = _card_path(folder, self.backend)
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = path.with_suffix(".tmp")
        whole.write_text(json.dumps({**asdict(self), "gate": self.gate.to_dict()}, indent=1), encoding="utf-8")
        os.replace(whole, path)

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
                calibrations={name: Calibration(**value) for name, value in data["calibrations"].items()},
                metrics=data["metrics"],
            )
        except (ValueError, KeyError, TypeError):  # damaged, or of another version: as good as not compiled
            return None


def chosen_backend(folder: Path, card: ModelCard, name: EngineName) -> tuple[str, str | None]:
    """The backend that `open_engine` would use, and why it is not the first choice (None: it is)."""
    backend = choose_backend(name)
    trouble = None if backend == "torch" else trouble_with(EngineCard.read(folder, backend), card)
    return ("torch", f"the {backend} engine {trouble}") if trouble and name == "auto" else (backend, None)


def choose_backend(name: EngineName) -> str:
    if name == "tensorrt":
        raise ConfigurationError(
            "tag.engine: the TensorRT engine is not part of this version yet; set tag.engine to auto, openvino or torch"
        )
    return "openvino" if name == "auto" else name


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
