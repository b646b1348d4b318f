"""What engines on a card share: slots that take turns, so that one piece is copied while another is computed."""

from abc import ABC, abstractmethod

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8

from models.engines.interface import EngineIdentity, Features
from models.engines.nvidia.shapes import Shapes
from models.engines.nvidia.slot import Slot
from models.inputs.preprocessing import trim


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
