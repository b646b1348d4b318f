"""Builds a model's engine, gates it, and opens the one that may be used."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from models.calibration import Calibration
from models.checkpoint import ModelCard, load_network
from models.cma_clip import CmaClip
from models.engines.gate import Gate, compare
from models.engines.openvino_engine import OpenVinoEngine
from models.engines.protocol import EngineIdentity, InferenceEngine
from models.engines.torch_engine import TorchEngine
from models.examples import Examples
from models.export import export_onnx
from models.features import classify, encode
from models.fitting import calibrations_of, metrics_of
from schemas.errors import ConfigurationError, UserError

EngineName = Literal["auto", "tensorrt", "openvino", "torch"]
ONNX = "encoder.onnx"


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


def compile_engine(
    folder: Path, card: ModelCard, name: EngineName, *, calibration: Examples, test: Examples, threads: int
) -> EngineCard:
    """Exports, builds and gates an engine of the model in `folder`; the card that it writes says whether it passed."""
    network = load_network(folder, card)
    reference = TorchEngine(network)
    backend = _choose(name)
    if backend == "openvino":
        onnx = folder / "engines" / ONNX
        export_onnx(network, onnx)
        engine: InferenceEngine = OpenVinoEngine(onnx, threads=threads)
    else:
        engine = reference
    outputs = {
        split: classify(network, encode(engine, examples), examples.present)
        for split, examples in (("calibration", calibration), ("test", test))
    }
    gate = compare(classify(network, encode(reference, calibration), calibration.present), outputs["calibration"])
    calibrations = calibrations_of(
        outputs["calibration"],
        calibration.labels,
        list(card.calibrations),
        [known.temperature for known in card.calibrations.values()],
        target_precision=card.target_precision,
        confidence=card.confidence,
    )
    metrics = metrics_of(outputs["test"], test.labels, calibrations, target_precision=card.target_precision)
    built = EngineCard(backend, engine.identity, card.weights, gate, calibrations, metrics)
    built.write(folder)
    return built


def open_engine(
    folder: Path, card: ModelCard, network: CmaClip, name: EngineName, *, threads: int
) -> tuple[InferenceEngine, dict[str, Calibration]]:
    """The engine to tag with, and its thresholds. A compiled engine that is missing, stale or failed its gate gives
    way to the reference under `auto`, and is an error where it was asked for by name."""
    backend = _choose(name)
    built = EngineCard.read(folder, backend)
    if backend == "torch":
        return TorchEngine(network), built.calibrations if built else card.calibrations
    trouble = _trouble(built, card)
    if trouble is None and built is not None:
        return OpenVinoEngine(folder / "engines" / ONNX, threads=threads), built.calibrations
    if name != "auto":
        raise UserError(f"the {backend} engine of model {card.version} {trouble}: run `cma compile`, or set tag.engine")
    return TorchEngine(network), card.calibrations


def chosen_backend(folder: Path, card: ModelCard, name: EngineName) -> tuple[str, str | None]:
    """The backend that `open_engine` would use, and why it is not the first choice (None: it is)."""
    backend = _choose(name)
    trouble = None if backend == "torch" else _trouble(EngineCard.read(folder, backend), card)
    return ("torch", f"the {backend} engine {trouble}") if trouble and name == "auto" else (backend, None)


def _choose(name: EngineName) -> str:
    if name == "tensorrt":
        raise ConfigurationError(
            "tag.engine: the TensorRT engine is not part of this version yet; set tag.engine to auto, openvino or torch"
        )
    return "openvino" if name == "auto" else name


def _trouble(built: EngineCard | None, card: ModelCard) -> str | None:
    if built is None:
        return "has not been compiled"
    if built.weights != card.weights:
        return "was compiled from other weights"
    if not built.gate.passed:
        return f"failed its gate ({built.gate})"
    return None


def _card_path(folder: Path, backend: str) -> Path:
    return folder / "engines" / f"{backend}.json"
