"""The losses that training minimises."""

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
    soft_targets: list[Tensor] | None = None,
    distillation: float = 0.0,
) -> Float[Tensor, ""]:
    """Sum over the tasks of their cross-entropies (Algorithm 1, lines 12 and 14), each divided by `counts`.

    `counts` are the labelled listings per task of the whole batch, so that the losses of its micro-batches add up to
    the batch's mean. A label of −1 is missing and adds nothing. `smoothing` is the share of label smoothing.
    `soft_targets` are a teacher's probabilities, (B, C) a task; `distillation` is their share of the loss (Hinton et
    al. 2015).
    """
    total = torch.zeros((), device=labels.device)
    for k, task in enumerate(logits):
        scores = task.float()
        lost = F.cross_entropy(scores, labels[:, k], ignore_index=-1, reduction="none", label_smoothing=smoothing)
        if soft_targets is not None:
            by_teacher = F.cross_entropy(scores, soft_targets[k], reduction="none") * (labels[:, k] >= 0)
            lost = (1 - distillation) * lost + distillation * by_teacher
        total = total + lost.sum() / counts[k].clamp(min=1)
    return total


def contrastive_loss(
    image: Float[Tensor, "B D"], title: Float[Tensor, "B D"], scale: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """CLIP's loss: the mean cross-entropy of finding each picture's title in the batch, and each title's picture."""
    logits = scale * F.normalize(image.float(), dim=-1) @ F.normalize(title.float(), dim=-1).T
    target = torch.arange(len(logits), device=logits.device)
    lost = F.cross_entropy(logits, target, reduction="sum") + F.cross_entropy(logits.T, target, reduction="sum")
    return lost / (2 * max(len(logits), 1))  # a batch may have no listing with both


def matching_loss(match: Float[Tensor, "B 2"], own: Bool[Tensor, " B"], both: Bool[Tensor, " B"]) -> Float[Tensor, ""]:
    """Binary cross-entropy of picture and title being of one listing (`own`), read off I′ and off T′ (the two columns
    of `match`); the mean over the listings that show `both`."""
    target = own.float()[:, None].expand(-1, 2)
    lost = F.binary_cross_entropy_with_logits(match.float(), target, reduction="none").mean(dim=1)
    return (lost * both).sum() / both.sum().clamp(min=1)
