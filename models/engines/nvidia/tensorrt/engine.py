"""The engine that runs a TensorRT plan on an NVIDIA card."""

from functools import partial

import torch
from torch import Tensor

from models.engines.interface import ONNX, EngineIdentity, TrainedModel
from models.engines.machine import card_name
from models.engines.nvidia.shapes import Shapes
from models.engines.nvidia.slots import OnCard, Slot
from models.engines.nvidia.tensorrt.library import builds, log, trt, version
from models.engines.nvidia.tensorrt.plan import Plan, here
from models.engines.nvidia.tensorrt.presence import TensorRtSettings
from schemas.errors import UserError

TYPES = {
    trt.DataType.FLOAT: torch.float32,
    trt.DataType.INT64: torch.int64,
    trt.DataType.UINT8: torch.uint8,
    trt.DataType.BOOL: torch.bool,
}


class RefusedPlan(UserError):
    """TensorRT does not accept a plan that is intact."""


class TensorRtEngine(OnCard):
    """Runs a plan that was built for this machine (see `plan.here`). UserError where it cannot be opened."""

    def __init__(self, plan: Plan) -> None:
        content, shapes = plan.read()
        if not builds() and not plan.holds_host_code:
            raise UserError(
                f"{plan.path} needs the full TensorRT, but only its lean runtime is installed: set "
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

    @classmethod
    def identity_here(cls, model: TrainedModel, built: EngineIdentity) -> EngineIdentity:
        return here(built, version=version(), device=card_name())

    @classmethod
    def build(cls, model: TrainedModel, *, threads: int, tensorrt: TensorRtSettings) -> "TensorRtEngine":
        # Only building needs these libraries, not a worker that opens a plan.
        from models.engines.nvidia.tensorrt.build import build
        from models.engines.onnx.export import export_onnx
        from models.engines.onnx.half_precision import write_lowered

        onnx, card, precision = model.folder / "engines" / ONNX, model.card, tensorrt.precision
        export_onnx(model.network, onnx)
        built = partial(
            build,
            write_lowered(onnx, precision) if precision in ("bf16", "fp16") else onnx,
            Shapes.of(
                card.context_length, trims_titles=card.trims_titles, lengths=tensorrt.lengths, batch=tensorrt.batch
            ),
            model.folder / "engines" / "tensorrt",
            weights=card.weights,
            precision=precision,
            version_compatible=tensorrt.version_compatible,
            timing=model.folder.parent / ".tensorrt-timing",  # the next model of this shape builds faster
        )
        plan = built()
        try:
            return cls(plan)
        except RefusedPlan:  # it was built earlier, and a newer driver refuses it
            plan.discard()
            return cls(built())

    @classmethod
    def open(cls, model: TrainedModel, built: EngineIdentity, *, threads: int) -> "TensorRtEngine":
        return cls(Plan(model.folder / "engines" / "tensorrt", built, model.card.weights))

    def _capture(self, profile: int, rows: int) -> Slot:
        execution = Execution(self._engine, profile, rows, compute=self._compute, memory=self._memory)
        return Slot(execution.inputs, execution, compute=self._compute)


class Execution:
    """A TensorRT context for one shape; calling it computes the features of `inputs` on the stream. Each captured graph
    needs its own context. Contexts share the scratch `memory`, because they compute one after another."""

    def __init__(
        self, engine: trt.ICudaEngine, profile: int, rows: int, *, compute: torch.cuda.Stream, memory: Tensor
    ) -> None:
        self._compute = compute
        context = engine.create_execution_context(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        if context is None:
            raise RuntimeError("TensorRT could not make an execution context: its messages are above")
        self._context = context
        self._context.set_device_memory(memory.data_ptr(), memory.numel())
        _require(self._context.set_optimization_profile_async(profile, compute.cuda_stream), "choose a profile")
        compute.synchronize()
        self.inputs: dict[str, Tensor] = {}
        self._outputs: dict[str, Tensor] = {}
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        for name in names:
            if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
                _, _, longest = engine.get_tensor_profile_shape(name, profile)
                shape = (rows, *tuple(longest)[1:])
                _require(self._context.set_input_shape(name, shape), f"take {name} as {shape}")
                self.inputs[name] = self._bound(engine, name, shape)
        for name in names:
            if name not in self.inputs:  # outputs have shapes once all inputs have
                self._outputs[name] = self._bound(engine, name, tuple(self._context.get_tensor_shape(name)))

    def __call__(self) -> dict[str, Tensor]:
        _require(self._context.execute_async_v3(self._compute.cuda_stream), "run")
        return self._outputs

    def _bound(self, engine: trt.ICudaEngine, name: str, shape: tuple[int, ...]) -> Tensor:
        made = torch.zeros(shape, dtype=TYPES[engine.get_tensor_dtype(name)], device="cuda")
        _require(self._context.set_tensor_address(name, made.data_ptr()), f"bind {name}")
        return made


def _require(worked: bool, what: str) -> None:
    if not worked:
        raise RuntimeError(f"TensorRT could not {what}: its messages are above")
