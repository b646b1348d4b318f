"""Shares of colours in a picture. A trunk that was trained to name things normalises colours away."""

from itertools import product

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn
from torch.nn import functional as F

_FINER = 4  # pixels on a side that are averaged first
_SPREAD = 7.0  # distance in Lab, three times the just noticeable one, over which a pixel's share spreads
_LIGHTNESS = (8, 22, 36, 50, 64, 78, 92)
_CHROMA_HUES = ((0, 1), (13, 6), (32, 8), (58, 8))  # garments are seldom vivid: colours are closest around grey
_WHITE = (0.9505, 1.0, 1.0890)  # D65
_TO_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))


class ColourShares(nn.Module):
    """The shares of each colour of a fixed palette in each cell of a grid, as square roots.

    A pixel belongs to the colours near it in CIE Lab: to colour c by softmax(−‖pixel − c‖² / 2·spread²).
    """

    to_xyz: Tensor
    palette: Tensor

    def __init__(self, *, image_size: tuple[int, int], grid: tuple[int, int]) -> None:
        super().__init__()
        self._grid = grid
        # Sizes are computed here, since OpenVINO cannot trace them.
        height, width = (side // _FINER for side in image_size)
        divides = height % grid[0] == width % grid[1] == 0
        self._cell = (height // grid[0], width // grid[1]) if divides else None
        self.register_buffer("to_xyz", torch.tensor(_TO_XYZ) / torch.tensor(_WHITE)[:, None], persistent=False)
        self.register_buffer("palette", palette(), persistent=False)

    def __len__(self) -> int:
        return len(self.palette)

    def forward(self, pictures: Num[Tensor, "B H W 3"]) -> Float[Tensor, "B K gh gw"]:
        """The roots of the shares in RGB pictures, 0–255, in each of gh × gw cells."""
        pixels = F.avg_pool2d(pictures.float().permute(0, 3, 1, 2) / 255, _FINER).permute(0, 2, 3, 1)
        # ‖pixel‖² is the same for all colours, so the softmax needs products only.
        scores = (self.lab(pixels) @ self.palette.T - (self.palette**2).sum(dim=1) / 2) / _SPREAD**2
        shares = scores.softmax(dim=-1).permute(0, 3, 1, 2)
        pooled = F.avg_pool2d(shares, self._cell) if self._cell else F.adaptive_avg_pool2d(shares, self._grid)
        return (pooled + 1e-6).sqrt()

    def lab(self, rgb: Float[Tensor, "*any 3"]) -> Float[Tensor, "*any 3"]:
        """CIE Lab (D65) of sRGB colours, 0–1."""
        linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        xyz = linear @ self.to_xyz.T
        f = torch.where(xyz > 216 / 24389, xyz.clamp(min=1e-6) ** (1 / 3), (24389 / 27 * xyz + 16) / 116)
        x, y, z = f.unbind(dim=-1)
        return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-1)


def palette() -> Float[Tensor, "K 3"]:
    """The palette's colours in Lab: rings of hues at several lightnesses, as far as sRGB has them."""
    colours = [
        (lightness, *(chroma * part for part in (torch.cos(angle).item(), torch.sin(angle).item())))
        for lightness, (chroma, hues) in product(_LIGHTNESS, _CHROMA_HUES)
        for angle in torch.arange(hues) * (2 * torch.pi / hues)
    ]
    lab = torch.tensor(colours)
    fy = (lab[:, 0] + 16) / 116
    f = torch.stack([fy + lab[:, 1] / 500, fy, fy - lab[:, 2] / 200], dim=1)
    xyz = torch.where(f > 6 / 29, f**3, (116 * f - 16) * 27 / 24389) * torch.tensor(_WHITE)
    rgb = xyz @ torch.linalg.inv(torch.tensor(_TO_XYZ)).T
    return lab[((rgb > -0.02) & (rgb < 1.02)).all(dim=1)]
