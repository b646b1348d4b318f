"""Builds a model's engine, gates it, and opens the one that may be used."""

from pathlib import Path

from models.calibration import Calibration
from models.card import ModelCard
from models.checkpoint import load_network
from models.cma_clip import CmaClip
from models.engines.card import EngineCard, EngineName, choose_backend, trouble_with
from models.engines.gate import compare
from models.engines.openvino_engine import OpenVinoEngine
from models.engines.protocol import InferenceEngine
from models.engines.torch_engine import TorchEngine
from models.examples import Examples
from models.export import export_onnx
from models.features import classify, encode
from models.fitting import calibrations_of, metrics_of
from schemas.errors import UserError

ONNX = "encoder.onnx"


def compile_engine(
    folder: Path, card: ModelCard, name: EngineName, *, calibration: Examples, test: Examples, threads: int
) -> EngineCard:
    """Exports, builds and gates an engine of the model in `folder`; the card that it writes says whether it passed."""
    network = load_network(folder, card)
    reference = TorchEngine(network)
    backend = choose_backend(name)
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
    """The engine to tag with, and its thresholds. A compiled engine that is missing, stale, foreign or failed its gate
    gives way to the reference under `auto`, and is an error where it was asked for by name."""
    backend = choose_backend(name)
    built = EngineCard.read(folder, backend)
    if backend == "torch":
        return TorchEngine(network), built.calibrations if built else card.calibrations
    trouble = trouble_with(built, card)
    if trouble is None and built is not None:
        engine = OpenVinoEngine(folder / "engines" / ONNX, threads=threads)
        if engine.identity == built.identity:
            return engine, built.calibrations
        trouble = f"was compiled and certified as {built.identity}, but this is {engine.identity}"
    if name != "auto":
        raise UserError(f"the {backend} engine of model {card.version} {trouble}: run `cma compile`, or set tag.engine")
    return TorchEngine(network), card.calibrations
