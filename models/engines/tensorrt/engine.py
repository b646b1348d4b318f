"""The GPU engine: a plan, run in slots that take turns, so that one batch is copied while another is computed."""

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8

from models.engines.protocol import Features
from models.engines.tensorrt.library import builds, log, trt
from models.engines.tensorrt.plan import Plan
from models.engines.tensorrt.slot import Slot
from models.processor import trim
from schemas.errors import UserError


class RefusedPlan(UserError):
    """TensorRT does not accept a plan, though it is the one that was built."""


class TensorRtEngine:
    """Opens a plan of this machine's (see `identity.here`). Slots are made when a batch first needs their shape."""

    streams = 1

    def __init__(self, plan: Plan) -> None:
        content, self._shapes = plan.read()
        if not builds() and not plan.holds_host_code:
            raise UserError(
                f"{plan.path} needs all of TensorRT, and here is its lean runtime only: set "
                "tag.tensorrt.version_compatible and run `cma compile`, or install TensorRT"
            )
        self.identity = plan.identity
        self.batch = 4 * self._shapes.batch  # enough pieces to keep copying and computing at the same time
        self._runtime = trt.Runtime(log())
        self._runtime.engine_host_code_allowed = plan.holds_host_code
        engine = self._runtime.deserialize_cuda_engine(content)
        if engine is None:
            raise RefusedPlan(
                f"TensorRT does not accept {plan.path} (its messages are above): build it again with `cma compile`"
            )
        self._engine = engine
        self._compute = torch.cuda.Stream()
        self._memory = torch.empty(max(engine.device_memory_size_v2, 1), dtype=torch.uint8, device="cuda")
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
            torch.cuda.synchronize()  # nothing may use the shared memory while a graph is captured
            made = Slot(self._engine, profile, rows, compute=self._compute, memory=self._memory)
            self._slots[profile, rows, side] = made
        return self._slots[profile, rows, side]
