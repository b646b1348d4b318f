"""What this machine is to TensorRT. A plan of another one is foreign, which is told before it is opened."""

from dataclasses import replace

from models.engines.interface import EngineIdentity
from models.engines.nvidia.tensorrt.plan import OR_LATER


def here(built: EngineIdentity, *, version: str, device: str) -> EngineIdentity:
    """The identity that the engine of `built` has on this machine: equal to it where its plan may be run.

    A version-compatible plan runs with the runtime that it brings, so it keeps its version under a later TensorRT.
    """
    compatible = built.version.endswith(OR_LATER) and _parts(version) >= _parts(built.version.removesuffix(OR_LATER))
    return replace(built, version=built.version if compatible else version, device=device)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
