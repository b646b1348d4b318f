"""What training minimises."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F


def classification_loss(
    logits: list[Tensor],
    labels: Int[Tensor, "B K"],
    counts: Float[Tensor, " K"],
    *,
    smoothing: float = 0.0,
    noise_tolerance: float = 0.0,
    priors: list[Tensor] | None = None,
    soft_targets: list[Tensor] | None = None,
    distillation: float = 0.0,
) -> Float[Tensor, ""]:
    """Sum over tasks of the cross-entropy of the listings that have a label (−1: none), divided by `counts`: how many
    of the whole batch have one, so that micro-batches add up to the batch's mean.

    `noise_tolerance` q > 0 is the generalised cross-entropy (1 − p^q) / q, which a wrong label pulls on less (Zhang and
    Sabuncu 2018). `priors` are log shares of the values, added to the logits in training alone (logit adjustment, Menon
    et al. 2021). `soft_targets` are a teacher's probabilities of the values: `distillation` is their share of the loss
    (Hinton et al. 2015).
    """
    total = torch.zeros((), device=labels.device)
    for k, task in enumerate(logits):
        scores = task.float() if priors is None else task.float() + priors[k]
        lost = F.cross_entropy(scores, labels[:, k], ignore_index=-1, reduction="none", label_smoothing=smoothing)
        if noise_tolerance:
            lost = -torch.expm1(-noise_tolerance * lost) / noise_tolerance
        if soft_targets is not None:
            by_teacher = F.cross_entropy(scores, soft_targets[k], reduction="none") * (labels[:, k] >= 0)
            lost = (1 - distillation) * lost + distillation * by_teacher
        total = total + lost.sum() / counts[k].clamp(min=1)
    return total


def contrastive_loss(
    image: Float[Tensor, "B D"], title: Float[Tensor, "B D"], scale: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """CLIP's: each picture finds its title among the batch's, and each title its picture."""
    logits = scale * F.normalize(image.float(), dim=-1) @ F.normalize(title.float(), dim=-1).T
    target = torch.arange(len(logits), device=logits.device)
    lost = F.cross_entropy(logits, target, reduction="sum") + F.cross_entropy(logits.T, target, reduction="sum")
    return lost / (2 * max(len(logits), 1))  # a batch may have no listing with both


def matching_loss(match: Float[Tensor, "B 2"], own: Bool[Tensor, " B"], both: Bool[Tensor, " B"]) -> Float[Tensor, ""]:
    """Whether picture and title are of one listing (`own`), of the listings that show `both`: mean of I′ and T′."""
    target = own.float()[:, None].expand(-1, 2)
    lost = F.binary_cross_entropy_with_logits(match.float(), target, reduction="none").mean(dim=1)
    return (lost * both).sum() / both.sum().clamp(min=1)
