"""Builds a model's engine in its folder, and opens one that was built."""

from functools import partial
from pathlib import Path

from models.engines.interface import EngineIdentity, InferenceEngine
from models.engines.nvidia.cuda_engine import CudaEngine
from models.engines.nvidia.shapes import Shapes
from models.engines.nvidia.tensorrt.presence import Options
from models.engines.onnx.export import export_onnx
from models.engines.onnx.half_precision import write_lowered
from models.engines.openvino_engine import OpenVinoEngine
from models.lifecycle.engine_card import ONNX
from models.lifecycle.model import Model


def build_engine(model: Model, backend: str, *, threads: int, options: Options) -> InferenceEngine:
    """Exports the network to ONNX, builds the engine from it, and opens it; `options` are TensorRT's."""
    if backend == "cuda":
        return CudaEngine(model.network)
    onnx = model.folder / "engines" / ONNX
    export_onnx(model.network, onnx)
    if backend == "openvino":
        return OpenVinoEngine(onnx, threads=threads)
    from models.engines.nvidia.tensorrt.build import build
    from models.engines.nvidia.tensorrt.engine import RefusedPlan, TensorRtEngine

    card, precision = model.card, options.precision
    built = partial(
        build,
        write_lowered(onnx, precision) if precision in ("bf16", "fp16") else onnx,
        Shapes.of(card.context_length, trims_titles=card.trims_titles, lengths=options.lengths, batch=options.batch),
        _plans(model),
        weights=card.weights,
        precision=precision,
        version_compatible=options.version_compatible,
        timing=model.folder.parent / ".tensorrt-timing",  # the next model of this shape builds faster
    )
    plan = built()
    try:
        return TensorRtEngine(plan)
    except RefusedPlan:  # a plan of an earlier build, which a newer driver refuses
        plan.discard()
        return TensorRtEngine(built())


def open_built_engine(model: Model, identity: EngineIdentity, *, threads: int) -> InferenceEngine:
    """Opens the engine that was built under this identity, on the machine that it was built for."""
    if identity.backend == "cuda":
        return CudaEngine(model.network)
    if identity.backend == "openvino":
        return OpenVinoEngine(model.folder / "engines" / ONNX, threads=threads)
    from models.engines.nvidia.tensorrt.engine import TensorRtEngine
    from models.engines.nvidia.tensorrt.plan import Plan

    return TensorRtEngine(Plan(_plans(model), identity, model.card.weights))


def _plans(model: Model) -> Path:
    return model.folder / "engines" / "tensorrt"
