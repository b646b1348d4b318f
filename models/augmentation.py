"""Pictures as another photographer might have taken them; colours are left alone, since they are labels."""

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn import functional as F

_SCALE, _SHIFT = 0.12, 0.08


def augment(pictures: UInt8[Tensor, "B H W 3"]) -> UInt8[Tensor, "B H W 3"]:
    """Mirrors half of the pictures, and scales and shifts each by up to about a tenth."""
    count = len(pictures)
    scale = 1 + _SCALE * (2 * torch.rand(count) - 1)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = scale * torch.where(torch.rand(count) < 0.5, -1.0, 1.0)
    theta[:, 1, 1] = scale
    theta[:, :, 2] = _SHIFT * 2 * (2 * torch.rand(count, 2) - 1)
    channels_first = pictures.permute(0, 3, 1, 2).float()
    grid = F.affine_grid(theta.to(pictures.device), list(channels_first.shape), align_corners=False)
    moved = F.grid_sample(channels_first, grid, padding_mode="border", align_corners=False)
    return moved.round().to(torch.uint8).permute(0, 2, 3, 1)
