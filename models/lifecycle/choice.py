"""Which engine may tag on this machine, told without opening one. PyTorch is loaded only where there is a card."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from models.engines.interface import EngineIdentity
from models.engines.nvidia import driver as cuda
from models.engines.nvidia.shapes import Shapes
from models.engines.nvidia.tensorrt import presence as tensorrt
from models.lifecycle.card import ModelCard
from models.lifecycle.engine_card import ONNX, EngineCard, EngineName
from schemas.errors import ConfigurationError
from schemas.files import sha256_of

_ON_A_CARD: dict[EngineName, Callable[[], str | None]] = {"tensorrt": tensorrt.missing, "cuda": cuda.missing}


def candidates(name: EngineName) -> tuple[EngineName, ...]:
    """What `tag.engine` means here, the first choice first: `auto` is what an NVIDIA card runs, then OpenVINO, then the
    reference."""
    if name in _ON_A_CARD and (missing := _ON_A_CARD[name]()):
        raise ConfigurationError(f"tag.engine: {missing}; or set tag.engine to auto, openvino or torch")
    if name != "auto":
        return (name,)
    return *(backend for backend, trouble in _ON_A_CARD.items() if trouble() is None), "openvino", "torch"


def device_of(backend: str) -> str:
    """`cuda` or `cpu`: where it computes."""
    return "cuda" if backend in _ON_A_CARD else "cpu"


def chosen_backend(folder: Path, card: ModelCard, name: EngineName) -> tuple[EngineName, str | None]:
    """The first candidate that may tag, and why it is not the first of all (None: it is). One that is asked for by name
    is chosen in any case."""
    backends = candidates(name)
    troubles: list[str] = []
    for backend in backends[:-1]:
        trouble = trouble_with(folder, card, backend)
        if trouble is None:
            return backend, "; ".join(troubles) or None
        troubles.append(f"the {backend} engine {trouble}")
    return backends[-1], "; ".join(troubles) or None


def trouble_with(folder: Path, card: ModelCard, backend: EngineName) -> str | None:
    """Why the engine may not tag here; None: it may. The reference always may."""
    if backend == "torch":
        return None
    built = EngineCard.read(folder, backend)
    if built is None:
        return "has not been compiled"
    if built.weights != card.weights:
        return "was compiled from other weights"
    if not built.gate.passed:
        return f"failed its gate ({built.gate})"
    here = _here(built.identity, card)
    if here != built.identity:
        return f"was compiled and certified as {built.identity}, but this is {here}"
    file = folder / "engines" / ONNX
    if built.onnx and not (file.exists() and sha256_of(file) == built.onnx):
        return f"has lost its network: {file} is missing, or not the file that was exported"
    return None


def identity_of(folder: Path, backend: EngineName) -> EngineIdentity:
    """Of a chosen engine."""
    built = EngineCard.read(folder, backend)
    if backend == "torch" or built is None:
        return EngineIdentity("torch", version("torch"), "cpu", "float32")
    return built.identity


def _here(built: EngineIdentity, card: ModelCard) -> EngineIdentity:
    """The identity that this engine has on this machine."""
    if built.backend == "openvino":
        from models.engines import openvino_engine

        return openvino_engine.identity()
    if built.backend == "cuda":
        from models.engines.nvidia import cuda_engine as engine

        return engine.identity(Shapes.of(card.context_length, trims_titles=card.trims_titles))
    from models.engines.machine import card_name
    from models.engines.nvidia.tensorrt import library, plan

    return plan.here(built, version=library.version(), device=card_name())
