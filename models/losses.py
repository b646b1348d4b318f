"""What training minimises."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


def classification_loss(
    logits: list[Tensor], labels: Int[Tensor, "B K"], *, smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Sum over tasks of the mean cross-entropy of the listings that have a label (−1: none) for the task."""
    losses = [
        F.cross_entropy(task.float(), labels[:, k], ignore_index=-1, reduction="sum", label_smoothing=smoothing)
        / (labels[:, k] >= 0).sum().clamp(min=1)
        for k, task in enumerate(logits)
    ]
    return torch.stack(losses).sum()


def contrastive_loss(
    image: Float[Tensor, "B D"], title: Float[Tensor, "B D"], scale: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """CLIP's: each picture finds its title among the batch's, and each title its picture."""
    logits = scale * F.normalize(image.float(), dim=-1) @ F.normalize(title.float(), dim=-1).T
    target = torch.arange(len(logits), device=logits.device)
    lost = F.cross_entropy(logits, target, reduction="sum") + F.cross_entropy(logits.T, target, reduction="sum")
    return lost / (2 * max(len(logits), 1))  # a batch may have no listing with both
