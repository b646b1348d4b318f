"""What engines on a card share: slots that take turns, so that one piece is copied while another is computed."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from models.engines.interface import EngineIdentity, Features
from models.engines.nvidia.shapes import Shapes
from models.inputs.preprocessing import trim


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


class OnCard(ABC):
    """An engine whose slots are made when a batch first needs their shape."""

    streams = 1

    def __init__(self, identity: EngineIdentity, shapes: Shapes) -> None:
        self.identity = identity
        self.batch = 4 * shapes.batch  # enough pieces to keep copying and computing at the same time
        self._shapes = shapes
        self._compute = torch.cuda.Stream()
        self._slots: dict[tuple[int, int, int], Slot] = {}

    def __call__(
        self,
        pictures: UInt8[np.ndarray, "B H W 3"],
        tokens: Int64[np.ndarray, "B T"],
        present: Bool[np.ndarray, "B 2"],
    ) -> Features:
        parts: list[Features] = []
        waiting: tuple[Slot, int] | None = None
        for turn, piece in enumerate(self._shapes.pieces(len(tokens))):
            titles = trim(tokens[piece])
            slot = self._slot(self._shapes.profile(titles.shape[1]), self._shapes.rows(len(titles)), turn % 2)
            slot.submit(pictures[piece], titles, present[piece])
            if waiting:
                parts.append(waiting[0].take(waiting[1]))
            waiting = slot, len(titles)
        if waiting:
            parts.append(waiting[0].take(waiting[1]))
        return Features(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _slot(self, profile: int, rows: int, side: int) -> Slot:
        if (profile, rows, side) not in self._slots:
            torch.cuda.synchronize()  # slots share memory, which nothing may use while a graph is captured
            self._slots[profile, rows, side] = self._made(profile, rows)
        return self._slots[profile, rows, side]

    @abstractmethod
    def _made(self, profile: int, rows: int) -> Slot:
        """For titles of a length (by its index in the shapes) and a number of listings; all compute on one stream."""


def _with_pinned(tensors: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    return {
        name: (torch.zeros(device.shape, dtype=device.dtype, pin_memory=True), device)
        for name, device in tensors.items()
    }
