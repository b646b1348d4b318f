"""The device that networks run on, an NVIDIA card where PyTorch finds one, and settings of the process."""

import ctypes
import sys

import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h


def best_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name() -> str:
    """The name of the device, for the record of a model."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def card_name() -> str:
    """The name of the NVIDIA card, for the identity of an engine that is built on it."""
    major, minor = torch.cuda.get_device_capability()
    return f"{torch.cuda.get_device_name()} (compute capability {major}.{minor})"


def keep_freed_memory() -> None:
    """Makes glibc keep large freed blocks instead of returning them to the kernel; elsewhere nothing happens. Page
    faults took a tenth of a training step (see docs/decisions)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None  # musl has none
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def use_threads(threads: int) -> None:
    """Limits PyTorch's threads, in a process that computes beside others."""
    torch.set_num_threads(threads)


def has_bf16(device: torch.device) -> bool:
    """Whether bf16 products are faster than float32 ones here."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
