"""Listings as they might have been: pictures taken by another photographer, titles with words or modalities missing."""

import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor

_SHIFT = 0.06  # of the picture's sides
_MIXUP = 0.3  # of the Beta distribution: most pairs keep nearly all of one picture


def augment(pictures: UInt8[Tensor, "B H W 3"]) -> UInt8[Tensor, "B H W 3"]:
    """Mirrors half of the pictures and shifts each a little, by whole pixels: resampling would blur fine patterns."""
    count, height, width, _ = pictures.shape
    down, right = (_shift(count, side) for side in (height, width))
    rows = (torch.arange(height) + down).clamp(0, height - 1)
    columns = (torch.arange(width) + right).clamp(0, width - 1)
    columns = torch.where(torch.rand(count, 1) < 0.5, columns.flip(1), columns)
    return pictures[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def _shift(count: int, side: int) -> Int[Tensor, "B 1"]:
    most = round(_SHIFT * side)
    return torch.randint(-most, most + 1, (count, 1))


def drop_tokens(tokens: Int[Tensor, "B T"], share: float) -> Int[Tensor, "B T"]:
    """Blots out tokens (id 1 stands for "something"), but never the first nor the end-of-text, so that no title is
    learned by heart."""
    blotted = (torch.rand(tokens.shape, device=tokens.device) < share) & (tokens != 0)
    blotted &= tokens != tokens.max(dim=1, keepdim=True).values
    blotted[:, 0] = False
    return tokens.masked_fill(blotted, 1)


def drop_modalities(present: Bool[Tensor, "B 2"], share: float) -> Bool[Tensor, "B 2"]:
    """Masks the picture or the title of a share of the listings that have both."""
    dropped = (torch.rand(len(present), device=present.device) < share) & present.all(dim=1)
    picture = torch.rand(len(present), device=present.device) < 0.5
    return present & ~torch.stack([dropped & picture, dropped & ~picture], dim=1)


def swap(both: Bool[Tensor, " B"], share: float) -> tuple[Int[Tensor, " B"], Int[Tensor, " B"]]:
    """Which row's picture and which row's title each row shows: its own, but a share of the listings that have both
    get another's picture, and as many another's title: those of the row before."""
    rows = torch.arange(len(both), device=both.device)
    pictures, titles, before = rows.clone(), rows.clone(), rows.clone()
    before[both] = rows[both].roll(1)
    drawn = torch.rand(len(both), device=both.device)
    for shown, low in ((pictures, 0.0), (titles, share)):
        chosen = rows[both & (drawn >= low) & (drawn < low + share)]
        shown[chosen] = before[chosen]
    return pictures, titles


def mix(count: int, *, device: torch.device) -> tuple[Int[Tensor, " B"], float]:
    """For mixup (Zhang et al. 2018): a partner for each row, and the share that the row itself keeps."""
    keep = float(torch.distributions.Beta(_MIXUP, _MIXUP).sample())
    return torch.randperm(count, device=device), keep
