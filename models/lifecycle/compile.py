"""Builds a model's engine, gates it, certifies it, and opens the one that may be used."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from models.engines.features import classify, encode
from models.engines.interface import EngineIdentity, InferenceEngine
from models.engines.nvidia.cuda_engine import CudaEngine
from models.engines.nvidia.shapes import Shapes
from models.engines.nvidia.tensorrt.presence import Options
from models.engines.onnx.export import export_onnx
from models.engines.onnx.half_precision import write_lowered
from models.engines.openvino_engine import OpenVinoEngine
from models.engines.torch_engine import TorchEngine
from models.evaluation.metrics import metrics_of
from models.inputs.examples import Examples
from models.lifecycle.card import ModelCard
from models.lifecycle.choice import chosen_backend, identity_of, trouble_with
from models.lifecycle.engine_card import ONNX, EngineCard, EngineName, certificates_on, store_certificates
from models.lifecycle.gate import compare
from models.lifecycle.weights import load_network
from models.network.cma_clip import CmaClip
from models.rules.certificates import Certificates, Promise
from models.rules.certify import Labelled, certificates_of
from schemas.errors import ConfigurationError, UserError
from schemas.files import sha256_of


def compile_engine(
    folder: Path,
    card: ModelCard,
    backend: EngineName,
    *,
    validation: Examples,
    calibration: Examples,
    test: Examples,
    promise: Promise,
    threads: int,
    tensorrt: Options | None = None,
) -> EngineCard:
    """Exports, builds, gates and certifies an engine of the model in `folder`; its card says whether it passed."""
    network = load_network(folder, card)
    reference = TorchEngine(network)
    engine: InferenceEngine = reference
    if backend != "torch":
        engine = make_engine(backend, network, folder, card, threads=threads, options=tensorrt or Options())
    outputs = {
        split: _predict(network, engine, examples)
        for split, examples in (("validation", validation), ("calibration", calibration), ("test", test))
    }
    gate = compare(_predict(network, reference, calibration).predictions, outputs["calibration"].predictions)
    certificates = certificates_of(outputs["validation"], outputs["calibration"], card.taxonomy.attributes, promise)
    metrics = metrics_of(outputs["test"], certificates)
    onnx = sha256_of(folder / "engines" / ONNX) if backend == "openvino" else None
    built = EngineCard(backend, engine.identity, card.weights, gate, certificates, metrics, onnx)
    built.write(folder)
    return built


def certify_feeds(
    folder: Path,
    card: ModelCard,
    name: EngineName,
    *,
    validation: Examples,
    calibration: Examples,
    feeds: Sequence[str],
    promise: Promise,
    threads: int,
) -> tuple[InferenceEngine, Certificates]:
    """Makes certificates anew on the engine that tags: of `feeds`, whose listings alone are given, and stores them
    beside the others'; or of all feeds, where none is named."""
    network = load_network(folder, card)
    engine, before = open_engine(folder, card, network, name, threads=threads)
    if feeds and promise != before.promise:
        raise ConfigurationError(
            "tag.target_precision, tag.confidence or tag.certify has changed since the other feeds were certified: run "
            "`cma certify` without naming feeds"
        )
    made = certificates_of(
        _predict(network, engine, validation),
        _predict(network, engine, calibration),
        card.taxonomy.attributes,
        promise,
        pooled=before.pooled if feeds else None,
    )
    if feeds:
        made = replace(made, feeds={**before.feeds, **made.feeds})
    store_certificates(folder, card, engine.identity.backend, made)
    return engine, made


def open_engine(
    folder: Path, card: ModelCard, network: CmaClip, name: EngineName, *, threads: int
) -> tuple[InferenceEngine, Certificates]:
    """The engine to tag with, and its certificates. A compiled engine that is missing, stale, foreign or failed its
    gate gives way to the next under `auto`, and is an error where it was asked for by name."""
    backend, _ = chosen_backend(folder, card, name)
    if name != "auto" and (trouble := trouble_with(folder, card, backend)):
        raise UserError(f"the {backend} engine of model {card.version} {trouble}: run `cma compile`, or set tag.engine")
    if backend == "torch":
        return TorchEngine(network), certificates_on(folder, card, backend)
    engine = compiled_engine(backend, network, folder, card, identity_of(folder, backend), threads=threads)
    return engine, certificates_on(folder, card, backend)


def _predict(network: CmaClip, engine: InferenceEngine, examples: Examples) -> Labelled:
    return Labelled.of(classify(network, encode(engine, examples), examples.present), examples)


def make_engine(
    backend: str, network: CmaClip, folder: Path, card: ModelCard, *, threads: int, options: Options
) -> InferenceEngine:
    """What has to be built goes to `folder`; `options` are TensorRT's."""
    if backend == "cuda":
        return CudaEngine(network)
    onnx = folder / "engines" / ONNX
    export_onnx(network, onnx)
    if backend == "openvino":
        return OpenVinoEngine(onnx, threads=threads)
    from models.engines.nvidia.tensorrt.build import build
    from models.engines.nvidia.tensorrt.engine import RefusedPlan, TensorRtEngine

    precision = options.precision
    built = partial(
        build,
        write_lowered(onnx, precision) if precision in ("bf16", "fp16") else onnx,
        Shapes.of(card.context_length, trims_titles=card.trims_titles, lengths=options.lengths, batch=options.batch),
        _plans(folder),
        weights=card.weights,
        precision=precision,
        version_compatible=options.version_compatible,
        timing=folder.parent / ".tensorrt-timing",  # the next model of this shape builds faster
    )
    plan = built()
    try:
        return TensorRtEngine(plan)
    except RefusedPlan:  # kept from before, and since then a driver may have changed
        plan.discard()
        return TensorRtEngine(built())


def compiled_engine(
    backend: str, network: CmaClip, folder: Path, card: ModelCard, built: EngineIdentity, *, threads: int
) -> InferenceEngine:
    """Opens the engine that was built under this identity, which is this machine's."""
    if backend == "cuda":
        return CudaEngine(network)
    if backend == "openvino":
        return OpenVinoEngine(folder / "engines" / ONNX, threads=threads)
    from models.engines.nvidia.tensorrt.engine import TensorRtEngine
    from models.engines.nvidia.tensorrt.plan import Plan

    return TensorRtEngine(Plan(_plans(folder), built, card.weights))


def _plans(folder: Path) -> Path:
    return folder / "engines" / "tensorrt"
