"""Which engines this machine has. No engine is opened, and PyTorch is loaded only where there is an NVIDIA card."""

from collections.abc import Callable
from importlib.metadata import version

from models.engines.interface import EngineIdentity
from models.engines.nvidia import driver as cuda
from models.engines.nvidia.shapes import Shapes
from models.engines.nvidia.tensorrt import presence as tensorrt
from models.lifecycle.card import ModelCard
from models.lifecycle.engine_card import EngineName
from schemas.errors import ConfigurationError

_ON_A_CARD: dict[EngineName, Callable[[], str | None]] = {"tensorrt": tensorrt.missing, "cuda": cuda.missing}


def candidates(name: EngineName) -> tuple[EngineName, ...]:
    """The engines that `tag.engine` stands for on this machine, the first choice first: for `auto` those of an NVIDIA
    card, where there is one, then OpenVINO, then the reference. ConfigurationError where an engine that is asked for
    by name cannot run here."""
    if name in _ON_A_CARD and (missing := _ON_A_CARD[name]()):
        raise ConfigurationError(f"tag.engine: {missing}. Or set tag.engine to auto, openvino or torch")
    if name != "auto":
        return (name,)
    return *(backend for backend, trouble in _ON_A_CARD.items() if trouble() is None), "openvino", "torch"


def device_of(backend: str) -> str:
    """`cuda` or `cpu`: the device that an engine computes on."""
    return "cuda" if backend in _ON_A_CARD else "cpu"


def reference_identity() -> EngineIdentity:
    """The identity of PyTorch on the CPU."""
    return EngineIdentity("torch", version("torch"), "cpu", "float32")


def identity_here(built: EngineIdentity, card: ModelCard) -> EngineIdentity:
    """The identity that an engine, built as `built`, would have if it were built on this machine now."""
    if built.backend == "openvino":
        from models.engines import openvino_engine

        return openvino_engine.identity()
    if built.backend == "cuda":
        from models.engines.nvidia import cuda_engine as engine

        return engine.identity(Shapes.of(card.context_length, trims_titles=card.trims_titles))
    from models.engines.machine import card_name
    from models.engines.nvidia.tensorrt import library, plan

    return plan.here(built, version=library.version(), device=card_name())
