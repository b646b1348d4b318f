"""The GPU engine: a plan of TensorRT's, run in slots that take turns."""

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8

from models.engines.cuda.slot import Slot
from models.engines.cuda.turns import Turns
from models.engines.protocol import Features
from models.engines.tensorrt.execution import Execution
from models.engines.tensorrt.library import builds, log, trt
from models.engines.tensorrt.plan import Plan
from schemas.errors import UserError


class RefusedPlan(UserError):
    """TensorRT does not accept a plan, though it is the one that was built."""


class TensorRtEngine:
    """Opens a plan of this machine's (see `identity.here`)."""

    streams = 1

    def __init__(self, plan: Plan) -> None:
        content, shapes = plan.read()
        if not builds() and not plan.holds_host_code:
            raise UserError(
                f"{plan.path} needs all of TensorRT, and here is its lean runtime only: set "
                "tag.tensorrt.version_compatible and run `cma compile`, or install TensorRT"
            )
        self.identity = plan.identity
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
        self._turns = Turns(shapes, self._slot)
        self.batch = self._turns.batch

    def __call__(
        self,
        pictures: UInt8[np.ndarray, "B H W 3"],
        tokens: Int64[np.ndarray, "B T"],
        present: Bool[np.ndarray, "B 2"],
    ) -> Features:
        return self._turns(pictures, tokens, present)

    def _slot(self, profile: int, rows: int) -> Slot:
        execution = Execution(self._engine, profile, rows, compute=self._compute, memory=self._memory)
        return Slot(execution.inputs, execution, compute=self._compute)
