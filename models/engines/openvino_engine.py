"""The CPU engine: the exported network compiled by OpenVINO. The only file that imports openvino."""

import warnings
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

import numpy as np
import openvino as ov
import openvino.properties as properties
import openvino.properties.hint as hints
from jaxtyping import Bool, Float32, Int64, UInt8

from models.engines.interface import ONNX, EngineIdentity, Features, TrainedModel
from models.engines.nvidia.tensorrt.presence import TensorRtSettings
from schemas.errors import UserError
from schemas.files import sha256_of, write_whole

if TYPE_CHECKING:
    from torch import Tensor, nn

_PART = 16  # pictures that a stream computes at once

# The first array that OpenVINO touches makes pybind11 look up NumPy's functions, once in a process. Threads that are
# first at the same time wait for each other for ever (pybind11#4877), so the thread that imports this is the first.
_ = ov.Tensor(np.zeros(1, dtype=np.float32)).data


class OpenVinoEngine:
    """Runs in bf16 where the processor has it, else in float32. The compiled network is cached beside the ONNX file.

    Each stream computes on one thread: threads that shared a batch would wait for the slowest, which may share its core
    with the decoding of pictures. UserError where the ONNX file is damaged.
    """

    batch = 64

    def __init__(self, onnx: Path, *, threads: int) -> None:
        self.identity = identity()
        cache = onnx.parent / "openvino-cache"
        settings = {
            hints.inference_precision: ov.Type.bf16 if self.identity.precision == "bf16" else ov.Type.f32,
            hints.performance_mode: hints.PerformanceMode.THROUGHPUT,
            properties.streams.num: threads,
            properties.inference_num_threads: threads,
            properties.cache_dir: str(cache),
        }
        _remove_damaged(cache)
        try:
            self._compiled = ov.Core().compile_model(onnx, "CPU", settings)
        except RuntimeError as error:
            raise UserError(f"OpenVINO cannot read {onnx}: build it again with `cma compile` ({error})") from error
        _write_checksums(cache)
        self.streams = threads
        self._free = SimpleQueue[ov.InferRequest]()
        for _ in range(threads):
            self._free.put(self._compiled.create_infer_request())

    @classmethod
    def identity_here(cls, model: TrainedModel, built: EngineIdentity) -> EngineIdentity:
        return identity()

    @classmethod
    def build(cls, model: TrainedModel, *, threads: int, tensorrt: TensorRtSettings) -> "OpenVinoEngine":
        from models.engines.onnx.export import export_onnx  # loads PyTorch, which `open` does not need

        onnx = model.folder / "engines" / ONNX
        export_onnx(model.network, onnx)
        return cls(onnx, threads=threads)

    @classmethod
    def open(cls, model: TrainedModel, built: EngineIdentity, *, threads: int) -> "OpenVinoEngine":
        return cls(model.folder / "engines" / ONNX, threads=threads)

    def __call__(
        self,
        pictures: UInt8[np.ndarray, "B H W 3"],
        tokens: Int64[np.ndarray, "B T"],
        present: Bool[np.ndarray, "B 2"],
    ) -> Features:
        request = self._free.get()
        try:
            results = request.infer({"pictures": pictures, "tokens": tokens, "present": present})
            return Features(*(np.array(results[name], dtype=np.float32) for name in Features._fields))
        finally:
            self._free.put(request)


class OpenVinoModule:
    """A module of PyTorch that takes uint8 pictures and returns one tensor, compiled in float32."""

    def __init__(self, module: "nn.Module", example: "Tensor", *, threads: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch and OpenVINO warn about their own tracing
            shape = ov.PartialShape([-1, *example.shape[1:]])
            model = ov.convert_model(module, example_input=example, input=(shape, ov.Type.u8))
        settings = {
            hints.inference_precision: ov.Type.f32,
            hints.performance_mode: hints.PerformanceMode.THROUGHPUT,
            properties.streams.num: threads,
            properties.inference_num_threads: threads,
        }
        self._queue = ov.AsyncInferQueue(ov.Core().compile_model(model, "CPU", settings), threads)

    def __call__(self, pictures: UInt8[np.ndarray, "B H W 3"]) -> Float32[np.ndarray, "B ..."]:
        parts = np.array_split(pictures, -(-len(pictures) // _PART))
        found: dict[int, np.ndarray] = {}
        self._queue.set_callback(lambda request, place: found.update({place: request.get_output_tensor().data.copy()}))
        for place, part in enumerate(parts):
            self._queue.start_async([part], place)
        self._queue.wait_all()
        return np.concatenate([found[place] for place in range(len(parts))])


def _remove_damaged(cache: Path) -> None:
    """Removes compiled networks whose checksum is missing or differs. OpenVINO notices one that is cut, but reads one
    with a changed byte as if nothing were wrong."""
    for blob in cache.glob("*.blob"):
        checksum = blob.with_suffix(".sha256")
        if not (checksum.exists() and checksum.read_text(encoding="ascii") == sha256_of(blob)):
            blob.unlink(missing_ok=True)
            checksum.unlink(missing_ok=True)


def _write_checksums(cache: Path) -> None:
    for blob in cache.glob("*.blob"):
        if not (checksum := blob.with_suffix(".sha256")).exists():
            write_whole(checksum, sha256_of(blob))


def identity() -> EngineIdentity:
    """The identity of the engines that OpenVINO compiles on this machine."""
    core = ov.Core()
    precision = "bf16" if "BF16" in core.get_property("CPU", properties.device.capabilities) else "f32"
    name = str(core.get_property("CPU", properties.device.full_name)).strip()
    return EngineIdentity("openvino", ov.get_version().split("-")[0], name, precision)
