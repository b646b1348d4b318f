"""The base of engines on an NVIDIA card: slots take turns, so that one batch is copied while another is computed."""

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
    """A CUDA graph for one batch shape, with pinned memory for its inputs and outputs.

    `program` computes the features from `inputs` (pictures, tokens and present, on the card). The captured graph reads
    and writes the same addresses each time, on the stream `compute`, after the batches submitted before.
    """

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
        """Starts a batch, no larger than the inputs in listings and title length; the one before must have been taken.
        Unused rows compute on data of an earlier batch, and their outputs are not read."""
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
        """Waits for the submitted batch; returns its features."""
        self._done.synchronize()
        return Features(*(self._outputs[name][0][:listings].numpy().copy() for name in Features._fields))

    def _send(self) -> None:
        """Copies the inputs to the card on a separate stream, while another slot computes."""
        with torch.cuda.stream(self._copying):
            for pinned, device in self._inputs.values():
                device.copy_(pinned, non_blocking=True)
            self._arrived.record(self._copying)


class OnCard(ABC):
    """An engine that captures a slot when a batch first needs its shape."""

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
            self._slots[profile, rows, side] = self._capture(profile, rows)
        return self._slots[profile, rows, side]

    @abstractmethod
    def _capture(self, profile: int, rows: int) -> Slot:
        """A slot for `rows` listings with titles of the length at index `profile`; all slots compute on one stream."""


def _with_pinned(tensors: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    return {
        name: (torch.zeros(device.shape, dtype=device.dtype, pin_memory=True), device)
        for name, device in tensors.items()
    }
