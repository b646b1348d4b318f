"""A picture tower with a pretrained trunk: the maps of all its stages, pooled over one grid, become the patches."""

import inspect
from typing import Any

import torch
from jaxtyping import Float, Num
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn
from torch.nn import functional as F

from models.network.architecture import PictureTowerShape, WeightsOrigin
from models.network.colours import ColourShares
from models.network.embeddings import ImageSequence
from models.network.picture_weights import build_trunk

_HEADS = 4
_LEAST_DEVIATION = 0.05  # of a feature's mean or deviation over the pictures, whose cells have deviation 1
_LEAST_VARIANCE = 1e-4  # is added: at 0 the root would make much of rounding, which differs between engines


class PictureTower(nn.Module):
    """A trunk, which stages of training may keep frozen, and the projections of its features into the joint space.

    A cell of the grid is a patch. Its F features are the mean over the cell of every map, the standard deviation of
    every map that is at least twice as fine as the grid, and the shares of colours. `mean` and `std` (F) standardise
    them; `fit_statistics` sets both, once, before training, as it sets `summary_mean` and `summary_std` (2F). The
    embedding of the whole picture comes from an MLP with `hidden` units. It reads the summary of the cells, mean and
    deviation of each feature, and the patches and colours that `_HEADS` learned weightings of the cells pick: those of
    the garment, not of the background.
    """

    trunk: Any  # a model of timm
    mean: Tensor
    std: Tensor
    summary_mean: Tensor
    summary_std: Tensor
    fitted: Tensor

    def __init__(
        self,
        trunk: Any,
        *,
        image_size: tuple[int, int],
        grid: tuple[int, int] | None,
        width: int,
        hidden: int = 512,
        dropout: float = 0.0,
        origin: WeightsOrigin | None = None,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.image_size = image_size
        self.origin = origin
        self._maps = _options(trunk)
        trunk.eval()  # batch statistics stay as they are
        with torch.no_grad():
            maps = self.maps(torch.zeros(1, 3, *image_size))
        self.grid: tuple[int, int] = grid or (maps[-1].shape[2], maps[-1].shape[3])
        sizes = [(part.shape[2], part.shape[3]) for part in maps]
        self._is_finer = [height >= 2 * self.grid[0] and width >= 2 * self.grid[1] for height, width in sizes]
        self._divides = [height % self.grid[0] == width % self.grid[1] == 0 for height, width in sizes]
        self._cells = [(height // self.grid[0], width // self.grid[1]) for height, width in sizes]
        self.colours = ColourShares(image_size=image_size, grid=self.grid)
        features = sum(part.shape[1] * (1 + finer) for part, finer in zip(maps, self._is_finer, strict=True))
        features += len(self.colours)
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))
        self.register_buffer("summary_mean", torch.zeros(2 * features))
        self.register_buffer("summary_std", torch.ones(2 * features))
        self.register_buffer("fitted", torch.tensor(False))
        self.patch_projection = nn.Linear(features, width)
        self.cell_weights = nn.Linear(features, _HEADS)
        self.image_projection = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(2 * features + _HEADS * (width + len(self.colours)), hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, width),
        )
        self.feature_dropout = nn.Dropout(dropout)

    @property
    def preprocess_cfg(self) -> dict[str, tuple[float, ...]]:
        """Mean and standard deviation of the pictures that the trunk was trained on, in units of 255."""
        cfg = getattr(self.trunk, "pretrained_cfg", {})
        return {"mean": cfg.get("mean", IMAGENET_DEFAULT_MEAN), "std": cfg.get("std", IMAGENET_DEFAULT_STD)}

    def blocks(self) -> list[nn.Module]:
        """The trunk's stages of blocks, from the picture on; the last of them may train while the first are frozen."""
        for name in ("blocks", "stages", "layers"):
            if isinstance(found := getattr(self.trunk, name, None), nn.Sequential | nn.ModuleList):
                return list(found)
        return [part for part in self.trunk.children() if isinstance(part, nn.Sequential)]

    def maps(self, normal: Float[Tensor, "B 3 H W"]) -> list[Tensor]:
        """The (B, C, h, w) maps of the trunk's stages, the finest first."""
        return self.trunk.forward_intermediates(normal, intermediates_only=True, **self._maps)

    def features(self, normal: Float[Tensor, "B 3 H W"], pictures: Num[Tensor, "B H W 3"]) -> Float[Tensor, "B P F"]:
        """The features of every cell, of pictures normalised for the trunk and as they are (0–255). They depend on the
        trunk alone, so they can be stored while it is frozen."""
        parts = []
        for level, part in enumerate(self.maps(normal)):
            mean = self._pooled(part, level)
            parts.append(mean)
            if self._is_finer[level]:
                variance = self._pooled(part * part, level) - mean * mean
                parts.append(_root(variance))
        parts.append(self.colours(pictures))
        return torch.cat(parts, dim=1).flatten(2).transpose(1, 2)

    def fit_statistics(self, features: Float[Tensor, "N P F"]) -> None:
        """Sets the mean and standard deviation of each feature to those over these pictures and their cells."""
        numbers = features.float().flatten(0, 1)
        self.mean.copy_(numbers.mean(dim=0))
        self.std.copy_(numbers.std(dim=0).clamp(min=1e-3))
        summaries = _moments(self._standard(features.float()))
        self.summary_mean.copy_(summaries.mean(dim=0))
        self.summary_std.copy_(summaries.std(dim=0, correction=0).clamp(min=_LEAST_DEVIATION))
        self.fitted.fill_(True)

    def forward(self, features: Float[Tensor, "B P F"]) -> ImageSequence:
        """The patch embeddings, and that of the whole picture at the class position."""
        standard = self._standard(features)
        weights = self.cell_weights(standard).softmax(dim=1).transpose(1, 2)
        # A feature is dropped from all cells of a picture, since neighbours would tell what it was.
        patches = self.patch_projection(standard * self.feature_dropout(torch.ones_like(standard[:, :1])))
        colours = standard[..., -len(self.colours) :]
        picked = [(weights @ part).flatten(1) for part in (patches, colours)]
        image = self.image_projection(torch.cat([self._summary(standard), *picked], dim=1))
        return ImageSequence(torch.cat([image[:, None], patches], dim=1), image)

    def summary(self, features: Float[Tensor, "B P F"]) -> Float[Tensor, "B 2*F"]:
        """Mean and deviation, over a picture's cells, of its features; all standardised."""
        return self._summary(self._standard(features))

    def _standard(self, features: Float[Tensor, "B P F"]) -> Float[Tensor, "B P F"]:
        return (features - self.mean).div_(self.std)  # in place: the features of a batch are tens of megabytes

    def _summary(self, standard: Float[Tensor, "B P F"]) -> Float[Tensor, "B 2*F"]:
        return (_moments(standard) - self.summary_mean) / self.summary_std

    def _pooled(self, part: Float[Tensor, "B C h w"], level: int) -> Float[Tensor, "B C gh gw"]:
        if self._divides[level]:
            return F.avg_pool2d(part, self._cells[level])
        return F.adaptive_avg_pool2d(part, self.grid)


def _moments(standard: Float[Tensor, "B P F"]) -> Float[Tensor, "B 2*F"]:
    mean = standard.mean(dim=1)
    return torch.cat([mean, _root((standard * standard).mean(dim=1) - mean * mean)], dim=1)


def _root(variance: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    return (variance.clamp(min=0) + _LEAST_VARIANCE).sqrt()


def build_picture_tower(shape: PictureTowerShape, *, weights: str | None, width: int) -> PictureTower:
    """The tower with its trunk's pretrained `weights` (None: random ones). See `build_trunk`."""
    trunk, origin = build_trunk(shape.trunk, weights=weights, image_size=shape.image_size)
    size = shape.image_size or tuple(trunk.pretrained_cfg["input_size"][1:])
    trunk.prune_intermediate_layers(1, prune_norm=not _is_isotropic(trunk))  # no map depends on what this removes
    return PictureTower(
        trunk,
        image_size=size,
        grid=shape.grid,
        width=width,
        hidden=shape.hidden,
        dropout=shape.dropout,
        origin=origin,
    )


def _options(trunk: Any) -> dict[str, object]:
    """Which maps `forward_intermediates` gives: all; of models whose maps have one size, as vision transformers, the
    last; of EfficientNets and MobileNets also those between the stages."""
    if _is_isotropic(trunk):
        return {"indices": 1, "norm": True}
    parameters = inspect.signature(trunk.forward_intermediates).parameters
    return {"extra_blocks": True} if "extra_blocks" in parameters else {}


def _is_isotropic(trunk: Any) -> bool:
    """Whether all maps have one size, as in a vision transformer."""
    return len({level["reduction"] for level in trunk.feature_info}) == 1
