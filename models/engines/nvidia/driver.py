"""Whether there is a card to compute on, told without loading PyTorch where there is no driver."""

import ctypes
import sys

_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


def missing() -> str | None:
    """What is missing, as a sentence that ends with the way out."""
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
