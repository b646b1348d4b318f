"""The table of engines, in order of preference. A new engine is one class with the methods of `EngineClass`, and one
line here. Reading the table loads no engine's library, and PyTorch only where there is an NVIDIA driver."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal, Protocol, cast

from models.engines.interface import ONNX, EngineIdentity, InferenceEngine, TrainedModel
from models.engines.nvidia import driver
from models.engines.nvidia.tensorrt import presence
from models.engines.nvidia.tensorrt.presence import TensorRtSettings
from schemas.errors import ConfigurationError


class EngineClass(Protocol):
    """How the engines of one kind are identified, built and opened."""

    def identity_here(self, model: TrainedModel, built: EngineIdentity) -> EngineIdentity:
        """The identity that an engine, built as `built`, would have if it were built on this machine now."""

    def build(self, model: TrainedModel, *, threads: int, tensorrt: TensorRtSettings) -> InferenceEngine:
        """Builds the engine in the model's folder, and opens it."""

    def open(self, model: TrainedModel, built: EngineIdentity, *, threads: int) -> InferenceEngine:
        """Opens the engine that was built as `built`. UserError where its files are damaged."""


@dataclass(frozen=True)
class EngineEntry:
    """The place of an engine's class, and what can be asked without loading it."""

    path: str  # `module:class`
    device: Literal["cpu", "cuda"] = "cpu"
    missing: Callable[[], str | None] = lambda: None  # what it lacks on this machine, and how to get it
    source: str | None = None  # the file in `engines/` that it reads whenever it is opened

    def load(self) -> EngineClass:
        module, name = self.path.split(":")
        return cast(EngineClass, getattr(import_module(module), name))


REFERENCE = "torch"  # the other engines are compared with it; it may always tag
ENGINES = {
    "tensorrt": EngineEntry("models.engines.nvidia.tensorrt.engine:TensorRtEngine", "cuda", presence.missing),
    "cuda": EngineEntry("models.engines.nvidia.cuda_engine:CudaEngine", "cuda", driver.missing),
    "openvino": EngineEntry("models.engines.openvino_engine:OpenVinoEngine", source=ONNX),
    REFERENCE: EngineEntry("models.engines.torch_engine:TorchEngine"),
}

# The values of `tag.engine`. A type checker cannot read them off the table; pydantic can.
if TYPE_CHECKING:
    EngineName = str
else:
    EngineName = Literal[("auto", *ENGINES)]


def candidates(name: EngineName) -> tuple[EngineName, ...]:
    """The engines that `tag.engine` allows on this machine, in order of preference. ConfigurationError where the engine
    that it names cannot run here."""
    if name != "auto" and ENGINES[name].missing() is None:
        return (name,)
    usable = tuple(engine for engine, entry in ENGINES.items() if entry.missing() is None)
    if name == "auto":
        return usable
    others = f"{', '.join(('auto', *usable[:-1]))} or {usable[-1]}"
    raise ConfigurationError(f"tag.engine: {ENGINES[name].missing()}. Or set tag.engine to {others}")
