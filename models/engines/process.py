"""What a process that computes sets up first."""

import ctypes
import sys

import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h


def keep_freed_memory() -> None:
    """Tells glibc not to hand large blocks back to the kernel each time they are freed; elsewhere nothing happens. Page
    faults took a tenth of a training step (see docs/decisions)."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def use_threads(threads: int) -> None:
    """Of PyTorch, in a process that computes beside others."""
    torch.set_num_threads(threads)
