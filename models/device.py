"""What networks are trained and compared on: an NVIDIA card where PyTorch finds one, else the processor."""

import torch


def best_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name() -> str:
    """As it is remembered with a model."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
