"""Whether TensorRT can run here, told without loading it."""

from importlib.util import find_spec

INSTALL = "install it with `uv sync --extra tensorrt` or `pip install 'cma-tagger[tensorrt]'`"


def installed() -> str | None:
    """The package that holds TensorRT: the whole library, else the lean runtime, which runs plans but builds none."""
    return next((name for name in ("tensorrt", "tensorrt_lean") if find_spec(name)), None)


def missing() -> str | None:
    """What TensorRT lacks on this machine, and the way out. PyTorch is loaded only where TensorRT is installed."""
    if installed() is None:
        return f"TensorRT is not installed: {INSTALL}"
    import torch

    # Without a driver TensorRT hands out objects that end the process when they are used.
    if not torch.cuda.is_available():
        return "TensorRT is installed, but PyTorch finds no CUDA device (see `nvidia-smi`)"
    return None
