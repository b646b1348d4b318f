"""An execution context at one batch shape, with the tensors that it reads and writes on the card."""

import torch
from torch import Tensor

from models.engines.nvidia.tensorrt.library import trt

TYPES = {
    trt.DataType.FLOAT: torch.float32,
    trt.DataType.INT64: torch.int64,
    trt.DataType.UINT8: torch.uint8,
    trt.DataType.BOOL: torch.bool,
}


class Execution:
    """Calling it computes `inputs` on the stream. A captured graph holds on to its context's state and addresses, so
    that each has one of its own. `memory` is scratch that contexts share: they compute one after another."""

    def __init__(
        self, engine: trt.ICudaEngine, profile: int, rows: int, *, compute: torch.cuda.Stream, memory: Tensor
    ) -> None:
        self._compute = compute
        context = engine.create_execution_context(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        if context is None:
            raise RuntimeError("TensorRT could not make an execution context: its messages are above")
        self._context = context
        self._context.set_device_memory(memory.data_ptr(), memory.numel())
        _must(self._context.set_optimization_profile_async(profile, compute.cuda_stream), "choose a profile")
        compute.synchronize()
        self.inputs: dict[str, Tensor] = {}
        self._outputs: dict[str, Tensor] = {}
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        for name in names:
            if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
                _, _, longest = engine.get_tensor_profile_shape(name, profile)
                shape = (rows, *tuple(longest)[1:])
                _must(self._context.set_input_shape(name, shape), f"take {name} as {shape}")
                self.inputs[name] = self._bound(engine, name, shape)
        for name in names:
            if name not in self.inputs:  # outputs have their shape once all inputs have theirs
                self._outputs[name] = self._bound(engine, name, tuple(self._context.get_tensor_shape(name)))

    def __call__(self) -> dict[str, Tensor]:
        _must(self._context.execute_async_v3(self._compute.cuda_stream), "run")
        return self._outputs

    def _bound(self, engine: trt.ICudaEngine, name: str, shape: tuple[int, ...]) -> Tensor:
        made = torch.zeros(shape, dtype=TYPES[engine.get_tensor_dtype(name)], device="cuda")
        _must(self._context.set_tensor_address(name, made.data_ptr()), f"bind {name}")
        return made


def _must(worked: bool, what: str) -> None:
    if not worked:
        raise RuntimeError(f"TensorRT could not {what}: its messages are above")
