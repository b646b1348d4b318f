"""One batch shape, ready to run: pinned arrays, tensors on the card, and the network captured as a CUDA graph."""

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from models.engines.protocol import Features
from models.engines.tensorrt.library import trt

TYPES = {
    trt.DataType.FLOAT: torch.float32,
    trt.DataType.INT64: torch.int64,
    trt.DataType.UINT8: torch.uint8,
    trt.DataType.BOOL: torch.bool,
}


class Slot:
    """Has an execution context of its own, as a captured graph holds on to its context's state and addresses.

    `memory` is scratch that slots share: they compute one after another, on one stream.
    """

    def __init__(
        self, engine: trt.ICudaEngine, profile: int, rows: int, *, compute: torch.cuda.Stream, memory: Tensor
    ) -> None:
        self._compute = compute
        self._copying = torch.cuda.Stream()
        self._arrived, self._done = torch.cuda.Event(), torch.cuda.Event()
        context = engine.create_execution_context(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        if context is None:
            raise RuntimeError("TensorRT could not make an execution context: its messages are above")
        self._context = context
        self._context.set_device_memory(memory.data_ptr(), memory.numel())
        _must(self._context.set_optimization_profile_async(profile, compute.cuda_stream), "choose a profile")
        compute.synchronize()
        self._inputs: dict[str, tuple[Tensor, Tensor]] = {}
        self._outputs: dict[str, tuple[Tensor, Tensor]] = {}
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        for name in names:
            if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
                _, _, longest = engine.get_tensor_profile_shape(name, profile)
                shape = (rows, *tuple(longest)[1:])
                _must(self._context.set_input_shape(name, shape), f"take {name} as {shape}")
                self._inputs[name] = self._bound(engine, name, shape)
        for name in names:
            if name not in self._inputs:  # outputs have their shape once all inputs have theirs
                self._outputs[name] = self._bound(engine, name, tuple(self._context.get_tensor_shape(name)))
        self._inputs["present"][0].fill_(True)  # a padding row must have something to attend to
        torch.cuda.synchronize()
        self._send()
        self._graph = self._captured()

    def submit(
        self,
        pictures: UInt8[np.ndarray, "B H W 3"],
        tokens: Int64[np.ndarray, "B T"],
        present: Bool[np.ndarray, "B 2"],
    ) -> None:
        """Starts a batch of at most `rows` listings with titles of at most the profile's length. The one before must
        have been taken. Rows that are left over compute what an earlier batch put there, and nobody looks."""
        listings, length = tokens.shape
        host = {name: pinned.numpy() for name, (pinned, _) in self._inputs.items()}
        host["pictures"][:listings] = pictures
        host["tokens"][:listings, :length] = tokens
        host["tokens"][:listings, length:] = 0
        host["present"][:listings] = present
        self._send()
        with torch.cuda.stream(self._compute):
            self._compute.wait_event(self._arrived)
            self._graph.replay()
            for pinned, device in self._outputs.values():
                pinned.copy_(device, non_blocking=True)
            self._done.record(self._compute)

    def take(self, listings: int) -> Features:
        """Waits for the batch that was submitted."""
        self._done.synchronize()
        return Features(*(self._outputs[name][0][:listings].numpy().copy() for name in Features._fields))

    def _bound(self, engine: trt.ICudaEngine, name: str, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        kind = TYPES[engine.get_tensor_dtype(name)]
        pinned = torch.zeros(shape, dtype=kind, pin_memory=True)
        device = torch.zeros(shape, dtype=kind, device="cuda")
        _must(self._context.set_tensor_address(name, device.data_ptr()), f"bind {name}")
        return pinned, device

    def _send(self) -> None:
        """On a stream of its own, so that it goes on while another slot computes."""
        with torch.cuda.stream(self._copying):
            for pinned, device in self._inputs.values():
                device.copy_(pinned, non_blocking=True)
            self._arrived.record(self._copying)

    def _captured(self) -> torch.cuda.CUDAGraph:
        torch.cuda.synchronize()
        self._enqueue()  # TensorRT prepares itself for new shapes at their first run, which cannot be captured
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._compute, capture_error_mode="thread_local"):
            self._enqueue()
        return graph

    def _enqueue(self) -> None:
        _must(self._context.execute_async_v3(self._compute.cuda_stream), "run")


def _must(worked: bool, what: str) -> None:
    if not worked:
        raise RuntimeError(f"TensorRT could not {what}: its messages are above")
