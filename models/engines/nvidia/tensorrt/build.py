"""Builds plans from ONNX. TensorRT 11 is strongly typed: the ONNX graph decides the precision of every product."""

from pathlib import Path

from models.engines.interface import EngineIdentity
from models.engines.machine import card_name
from models.engines.nvidia.shapes import Shapes
from models.engines.nvidia.tensorrt.library import builds, log, trt, version
from models.engines.nvidia.tensorrt.plan import OR_LATER, Plan
from models.engines.nvidia.tensorrt.presence import INSTALL, Precision
from schemas.errors import ConfigurationError, UserError
from schemas.files import write_whole


def build(
    onnx: Path,
    shapes: Shapes,
    folder: Path,
    *,
    weights: str,
    precision: Precision,
    version_compatible: bool,
    timing: Path,
) -> Plan:
    """The plan of an ONNX file in `precision`, in `folder`; it is built only where none of the same weights, shapes,
    kind of card and TensorRT is there. `timing` is the file of TensorRT's timing cache, which models share. UserError
    where TensorRT cannot read or build the file, ConfigurationError where only the lean runtime is installed."""
    if not builds():
        raise ConfigurationError(f"tag.engine: the lean runtime of TensorRT builds no plans: {INSTALL}")
    built_by = version() + (OR_LATER if version_compatible else "")
    identity = EngineIdentity("tensorrt", built_by, card_name(), precision, str(shapes))
    plan = Plan(folder, identity, weights)
    if not plan.is_built():
        content = _serialized(onnx, shapes, precision, version_compatible=version_compatible, timing=timing)
        plan.write(content, shapes)
    return plan


def _serialized(onnx: Path, shapes: Shapes, precision: Precision, *, version_compatible: bool, timing: Path) -> bytes:
    builder = trt.Builder(log())
    network = builder.create_network()
    parser = trt.OnnxParser(network, log())
    if not parser.parse(onnx.read_bytes()):
        errors = "; ".join(parser.get_error(index).desc() for index in range(parser.num_errors))
        raise UserError(f"TensorRT cannot read {onnx}: {errors}. Set tag.engine to torch, and report this")
    config = builder.create_builder_config()
    if precision == "float32":
        config.clear_flag(trt.BuilderFlag.TF32)
    if version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    for length in shapes.lengths:
        config.add_optimization_profile(_profile(builder, network, length, shapes.batch))
    timings = _timings(config, timing)
    content = builder.build_serialized_network(network, config)
    if content is None:
        raise UserError(
            f"TensorRT could not build {onnx} in {precision} (its messages are above): set tag.tensorrt.precision to "
            "another precision, or tag.engine to torch"
        )
    if timings is not None:
        timing.parent.mkdir(parents=True, exist_ok=True)
        write_whole(timing, bytes(memoryview(timings.serialize())))
    return bytes(memoryview(content))


def _profile(
    builder: "trt.Builder", network: "trt.INetworkDefinition", length: int, batch: int
) -> "trt.IOptimizationProfile":
    """The profile of batches of 1 to `batch` listings, with titles padded to `length`."""
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        _, *rest = tensor.shape
        fixed = tuple(length if size < 0 else size for size in rest)
        profile.set_shape(tensor.name, (1, *fixed), (batch, *fixed), (batch, *fixed))
    return profile


def _timings(config: "trt.IBuilderConfig", timing: Path) -> "trt.ITimingCache | None":
    """The timing cache of the file; an empty one where it is missing, damaged, or of another card or TensorRT. The
    caller must keep the object while it builds."""
    for known in (timing.read_bytes() if timing.exists() else b"", b""):
        cache = config.create_timing_cache(known)
        if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
            return cache
    return None
