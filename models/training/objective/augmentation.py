"""Random changes of listings in training: pictures, tokens, missing modalities, swapped and mixed pairs."""

import numpy as np
import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor

_SHIFT = 0.06  # largest shift, as a share of the picture's sides
_MIXUP = 0.3  # α of the Beta distribution: most mixtures are nearly all of one picture


def mirrored(pictures: UInt8[np.ndarray, "N H W 3"]) -> UInt8[np.ndarray, "N H W 3"]:
    """The pictures with left and right exchanged; nothing is copied."""
    return pictures[:, :, ::-1]


def mirror(pictures: UInt8[Tensor, "B H W 3"]) -> UInt8[Tensor, "B H W 3"]:
    """Mirrors half of the pictures."""
    chosen = torch.rand(len(pictures)) < 0.5
    return torch.where(chosen[:, None, None, None].to(pictures.device), pictures.flip(2), pictures)


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
    """Replaces a share of the tokens by id 1, never the first nor the end-of-text, so that no title is memorised."""
    dropped = (torch.rand(tokens.shape, device=tokens.device) < share) & (tokens != 0)
    dropped &= tokens != tokens.max(dim=1, keepdim=True).values
    dropped[:, 0] = False
    return tokens.masked_fill(dropped, 1)


def drop_modalities(present: Bool[Tensor, "B 2"], share: float, of_titles: float = 0.5) -> Bool[Tensor, "B 2"]:
    """Masks the picture or the title of a share of the listings that have both; `of_titles` is how often the title."""
    dropped = (torch.rand(len(present), device=present.device) < share) & present.all(dim=1)
    picture = torch.rand(len(present), device=present.device) >= of_titles
    return present & ~torch.stack([dropped & picture, dropped & ~picture], dim=1)


def swap(both: Bool[Tensor, " B"], share: float, of_titles: float = 0.5) -> tuple[Int[Tensor, " B"], Int[Tensor, " B"]]:
    """The rows whose picture and whose title each row shows. A share of the listings that have both show the picture of
    the row before, or its title; `of_titles` is how often the title. All others show their own."""
    rows = torch.arange(len(both), device=both.device)
    pictures, titles, before = rows.clone(), rows.clone(), rows.clone()
    before[both] = rows[both].roll(1)
    drawn = torch.rand(len(both), device=both.device)
    of_pictures = share * (1 - of_titles)
    for shown, low, high in ((pictures, 0.0, of_pictures), (titles, of_pictures, share)):
        chosen = rows[both & (drawn >= low) & (drawn < high)]
        shown[chosen] = before[chosen]
    return pictures, titles


def mix(count: int, *, device: torch.device) -> tuple[Int[Tensor, " B"], float]:
    """Mixup (Zhang et al. 2018): a partner for each row, and the share of the row itself in the mixture."""
    keep = float(torch.distributions.Beta(_MIXUP, _MIXUP).sample())
    return torch.randperm(count, device=device), keep
