"""One batch shape, ready to run: pinned arrays, tensors on the card, and a program captured as a CUDA graph."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from models.engines.interface import Features


class Slot:
    """`program` reads `inputs` (pictures, tokens and present, on the card) and returns the features; captured, it finds
    the ones and leaves the others at the same addresses each time. It runs on `compute`, after those before it."""

    def __init__(
        self,
        inputs: Mapping[str, Tensor],
        program: Callable[[], Mapping[str, Tensor]],
        *,
        compute: torch.cuda.Stream,
        pool: "torch.cuda._POOL_HANDLE | None" = None,
    ) -> None:
        self._compute = compute
        self._copying = torch.cuda.Stream()
        self._arrived, self._done = torch.cuda.Event(), torch.cuda.Event()
        self._inputs = _with_pinned(inputs)
        self._inputs["present"][0].fill_(True)  # a padding row must have something to attend to
        torch.cuda.synchronize()
        self._send()
        torch.cuda.synchronize()
        with torch.cuda.stream(compute):
            program()  # kernels are chosen and loaded at the first run of a shape, which cannot be captured
        torch.cuda.synchronize()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, pool=pool, stream=compute, capture_error_mode="thread_local"):
            outputs = program()
        self._outputs = _with_pinned(outputs)

    def submit(
        self,
        pictures: UInt8[np.ndarray, "B H W 3"],
        tokens: Int64[np.ndarray, "B T"],
        present: Bool[np.ndarray, "B 2"],
    ) -> None:
        """Starts a batch of at most as many listings, with titles of at most the length, that the inputs have. The one
        before must have been taken. Rows that are left over compute what an earlier batch put there, and nobody
        looks."""
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

    def _send(self) -> None:
        """On a stream of its own, so that it goes on while another slot computes."""
        with torch.cuda.stream(self._copying):
            for pinned, device in self._inputs.values():
                device.copy_(pinned, non_blocking=True)
            self._arrived.record(self._copying)


def _with_pinned(tensors: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    return {
        name: (torch.zeros(device.shape, dtype=device.dtype, pin_memory=True), device)
        for name, device in tensors.items()
    }
