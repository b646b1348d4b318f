"""Whether TensorRT can run here, told without loading it."""

from importlib.util import find_spec

from models.engines.nvidia import driver as cuda

INSTALL = "install it with `uv sync --extra tensorrt` or `pip install 'cma-tagger[tensorrt]'`"


def installed() -> str | None:
    """The package that holds TensorRT: the whole library, else the lean runtime, which runs plans but builds none."""
    return next((name for name in ("tensorrt", "tensorrt_lean") if find_spec(name)), None)


def missing() -> str | None:
    """What TensorRT lacks on this machine, and the way out."""
    if installed() is None:
        return f"TensorRT is not installed: {INSTALL}"
    # Without a driver TensorRT hands out objects that end the process when they are used.
    if trouble := cuda.missing():
        return f"TensorRT is installed, but {trouble}"
    return None
