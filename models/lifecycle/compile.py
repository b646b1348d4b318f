"""Compiles a model's engine: builds it, gates it against the reference, and certifies it on its own outputs."""

from collections.abc import Sequence
from dataclasses import replace

from models.engines.interface import InferenceEngine
from models.engines.nvidia.tensorrt.presence import TensorRtSettings
from models.engines.table import ENGINES, EngineName
from models.evaluation.metrics import evaluate_attributes
from models.inputs.examples import Examples
from models.lifecycle.engine_card import EngineCard
from models.lifecycle.gate import compare
from models.lifecycle.model import Model
from models.rules.certificates import Certificates, Promise
from models.rules.certify import Labelled, certificates_of
from schemas.errors import ConfigurationError
from schemas.files import sha256_of


def compile_engine(
    model: Model,
    backend: EngineName,
    *,
    validation: Examples,
    calibration: Examples,
    test: Examples,
    promise: Promise,
    threads: int,
    tensorrt: TensorRtSettings | None = None,
) -> EngineCard:
    """Builds, gates and certifies an engine of the model; the card says whether it passed."""
    reference = model.reference_engine()
    engine = ENGINES[backend].load().build(model, threads=threads, tensorrt=tensorrt or TensorRtSettings())
    outputs = {
        split: _labelled(model, engine, examples)
        for split, examples in (("validation", validation), ("calibration", calibration), ("test", test))
    }
    gate = compare(model.predict(reference, calibration), outputs["calibration"].predictions)
    certificates = certificates_of(
        outputs["validation"], outputs["calibration"], model.card.taxonomy.attributes, promise
    )
    metrics = evaluate_attributes(outputs["test"], certificates)
    source = ENGINES[backend].source
    onnx = sha256_of(model.folder / "engines" / source) if source else None
    built = EngineCard(backend, engine.identity, model.card.weights, gate, certificates, metrics, onnx)
    model.write_engine_card(built)
    return built


def certify_feeds(
    model: Model,
    name: EngineName,
    *,
    validation: Examples,
    calibration: Examples,
    feeds: Sequence[str],
    promise: Promise,
    threads: int,
) -> tuple[InferenceEngine, Certificates]:
    """Certifies `feeds` (empty: all) again on the engine that tags, from the given listings of theirs; other feeds keep
    their certificates. Returns engine and certificates. ConfigurationError where the promise has changed but only some
    feeds are certified."""
    engine, before = model.open_engine(name, threads=threads)
    if feeds and promise != before.promise:
        raise ConfigurationError(
            "tag.target_precision, tag.confidence or tag.certify has changed since the other feeds were certified: run "
            "`cma certify` without naming feeds"
        )
    made = certificates_of(
        _labelled(model, engine, validation),
        _labelled(model, engine, calibration),
        model.card.taxonomy.attributes,
        promise,
        pooled=before.pooled if feeds else None,
    )
    if feeds:
        made = replace(made, feeds={**before.feeds, **made.feeds})
    model.store_certificates(engine.identity.backend, made)
    return engine, made


def _labelled(model: Model, engine: InferenceEngine, examples: Examples) -> Labelled:
    return Labelled.of(model.predict(engine, examples), examples)
