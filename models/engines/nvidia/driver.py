"""Whether this machine has a usable NVIDIA card. Loads PyTorch only where there is a driver."""

import ctypes
import sys

_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


def missing() -> str | None:
    """What is missing and how to find out more, as a clause; None: the card can be used."""
    if _has_driver():
        import torch

        if torch.cuda.is_available():
            return None
    return "PyTorch finds no CUDA device (see `nvidia-smi`)"


def _has_driver() -> bool:
    try:
        ctypes.CDLL(_DRIVER)
    except OSError:
        return False
    return True
