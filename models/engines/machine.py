"""What networks are trained and compared on: an NVIDIA card where PyTorch finds one, else the processor."""

import torch


def best_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name() -> str:
    """As it is remembered with a model."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def card_name() -> str:
    """Of an NVIDIA card, as it is remembered with an engine that was built on it."""
    major, minor = torch.cuda.get_device_capability()
    return f"{torch.cuda.get_device_name()} (compute capability {major}.{minor})"
