"""The engines that `cma compile` gates: made from the network then, and opened by whoever tags."""

from functools import partial
from pathlib import Path

from models.engines.interface import EngineIdentity, InferenceEngine
from models.engines.nvidia.cuda_engine import CudaEngine
from models.engines.nvidia.shapes import Shapes
from models.engines.nvidia.tensorrt.options import Options
from models.engines.onnx.export import export_onnx
from models.engines.onnx.half_precision import write_lowered
from models.engines.openvino_engine import OpenVinoEngine
from models.lifecycle.card import ModelCard
from models.lifecycle.engine_card import ONNX
from models.network.cma_clip import CmaClip


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
