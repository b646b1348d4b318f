"""The GPU engine: a plan of TensorRT's, run in slots that take turns."""

import torch

from models.engines.nvidia.slot import Slot
from models.engines.nvidia.slots import OnCard
from models.engines.nvidia.tensorrt.execution import Execution
from models.engines.nvidia.tensorrt.library import builds, log, trt
from models.engines.nvidia.tensorrt.plan import Plan
from schemas.errors import UserError


class RefusedPlan(UserError):
    """TensorRT does not accept a plan, though it is the one that was built."""


class TensorRtEngine(OnCard):
    """Opens a plan of this machine's (see `identity.here`)."""

    def __init__(self, plan: Plan) -> None:
        content, shapes = plan.read()
        if not builds() and not plan.holds_host_code:
            raise UserError(
                f"{plan.path} needs all of TensorRT, and here is its lean runtime only: set "
                "tag.tensorrt.version_compatible and run `cma compile`, or install TensorRT"
            )
        super().__init__(plan.identity, shapes)
        self._runtime = trt.Runtime(log())
        self._runtime.engine_host_code_allowed = plan.holds_host_code
        engine = self._runtime.deserialize_cuda_engine(content)
        if engine is None:
            raise RefusedPlan(
                f"TensorRT does not accept {plan.path} (its messages are above): build it again with `cma compile`"
            )
        self._engine = engine
        self._memory = torch.empty(max(engine.device_memory_size_v2, 1), dtype=torch.uint8, device="cuda")

    def _made(self, profile: int, rows: int) -> Slot:
        execution = Execution(self._engine, profile, rows, compute=self._compute, memory=self._memory)
        return Slot(execution.inputs, execution, compute=self._compute)
