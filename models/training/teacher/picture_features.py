"""Hand-made features of a picture: colours of its foreground, directions of its edges, textures."""

from functools import cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from scipy import ndimage
from torch.nn.functional import interpolate

_LAB_BINS = (8, 10, 10)  # L from 0 to 100, a and b from −50 to 60
_LOWEST, _HIGHEST = np.array([0, -50, -50]), np.array([100, 60, 60])
_NOTICEABLE = 6  # distance in Lab, about three times the just noticeable one
_MOST_PIXELS = 192 * 128
_CELLS, _ORIENTATIONS = (16, 10), 9
_LEAST_FOREGROUND = 0.02  # share of a picture; with less, its middle is taken
_CIRCLE = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))


def picture_features(pictures: UInt8[np.ndarray, "N H W 3"]) -> dict[str, Float[np.ndarray, "N _"]]:
    """Features of N ≥ 1 pictures by kind. A picture of 192×120 takes some milliseconds; larger ones are scaled down."""
    rows = [_features(scaled_down(picture)) for picture in pictures]
    return {kind: np.stack([row[kind] for row in rows]).astype(np.float32) for kind in rows[0]}


def scaled_down(picture: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """The picture with at most as many pixels as one of 192×128, for which these features were made."""
    height, width, _ = picture.shape
    scale = (_MOST_PIXELS / (height * width)) ** 0.5
    if scale >= 1:
        return picture
    size = round(scale * height), round(scale * width)
    # The array may be mapped from a file that must not change; the copy is contiguous, too.
    pixels = torch.from_numpy(np.array(picture))[None].permute(0, 3, 1, 2)
    return interpolate(pixels, size, mode="bicubic", antialias=True)[0].permute(1, 2, 0).numpy()


def foreground(lab: Float[np.ndarray, "H W 3"]) -> Bool[np.ndarray, "H W"]:
    """The pixels that are not background: of the margin's colour and connected with the margin. The middle of the
    picture if next to none are left."""
    height, width, _ = lab.shape
    margin = np.ones((height, width), dtype=bool)
    margin[3:-3, 3:-3] = False
    alike = np.linalg.norm(lab - np.median(lab[margin], axis=0), axis=-1) <= _NOTICEABLE
    regions, _ = ndimage.label(alike)
    mask = ~(alike & np.isin(regions, np.unique(regions[margin & alike])))
    mask = ndimage.binary_erosion(mask)  # the outline is a mixture of both colours
    return mask if mask.mean() >= _LEAST_FOREGROUND else _middle(height, width)


def to_lab(picture: UInt8[np.ndarray, "H W 3"]) -> Float[np.ndarray, "H W 3"]:
    """sRGB to CIE Lab (D65), to the nearest of 64 levels a channel."""
    return np.asarray(_lab_table()[tuple(np.moveaxis(picture >> 2, -1, 0))])


def _features(picture: UInt8[np.ndarray, "H W 3"]) -> dict[str, Float[np.ndarray, " F"]]:
    lab = to_lab(picture)
    mask, lightness = foreground(lab), lab[..., 0]
    half = lightness[::2, ::2]
    down, right = np.gradient(lightness)
    steepness, shown = np.hypot(down, right), lab[mask]
    statistics = (
        shown.mean(0),
        shown.std(0),
        np.percentile(shown, (5, 25, 50, 75, 95), axis=0).ravel(),
        np.percentile(steepness[mask], (10, 25, 50, 75, 90, 97)),
        [mask.mean()],
    )
    textures = [local_binary_patterns(lightness, mask, radius) for radius in (1, 2, 4)]
    textures.append(local_binary_patterns(half, mask[::2, ::2], 3))
    return {
        "colours": np.sqrt(np.concatenate([_histogram(shown), _histogram(lab[_middle(*mask.shape)])])),
        "edges": oriented_gradients(down, right),
        "textures": np.sqrt(np.concatenate(textures)),
        "statistics": np.concatenate(statistics),
    }


def oriented_gradients(down: Float[np.ndarray, "H W"], right: Float[np.ndarray, "H W"]) -> Float[np.ndarray, " F"]:
    """HOG (Dalal and Triggs 2005) on a grid of cells, each normalised by the four blocks of 2×2 cells around it."""
    angle = np.arctan2(down, right) % np.pi / np.pi * _ORIENTATIONS
    lower, share = angle.astype(int) % _ORIENTATIONS, angle % 1
    rows, columns = (np.arange(side) * cells // side for side, cells in zip(down.shape, _CELLS, strict=True))
    cell = (rows[:, None] * _CELLS[1] + columns) * _ORIENTATIONS
    steepness, size = np.hypot(down, right), _CELLS[0] * _CELLS[1] * _ORIENTATIONS
    votes = np.bincount((cell + lower).ravel(), (steepness * (1 - share)).ravel(), size)
    votes += np.bincount((cell + (lower + 1) % _ORIENTATIONS).ravel(), (steepness * share).ravel(), size)
    grid = votes.reshape(*_CELLS, _ORIENTATIONS)
    energy = np.pad((grid**2).sum(-1), 1)
    pairs = energy[:-1] + energy[1:]
    blocks = np.sqrt(pairs[:, :-1] + pairs[:, 1:] + 1.0)
    around = (blocks[:-1, :-1], blocks[1:, :-1], blocks[:-1, 1:], blocks[1:, 1:])
    return np.asarray(np.mean([np.minimum(grid / block[..., None], 0.2) for block in around], axis=0).ravel())


def local_binary_patterns(
    lightness: Float[np.ndarray, "H W"], mask: Bool[np.ndarray, "H W"], radius: int
) -> Float[np.ndarray, " F"]:
    """Shares of the foreground's rotation-invariant uniform patterns (Ojala et al. 2002)."""
    height, width = lightness.shape
    inner = (slice(radius, height - radius), slice(radius, width - radius))
    lighter = np.stack(
        [
            np.roll(lightness, (-radius * down, -radius * right), (0, 1))[inner] > lightness[inner] + 2  # beyond noise
            for down, right in _CIRCLE
        ]
    )
    changes = (lighter != np.roll(lighter, 1, axis=0)).sum(0)
    pattern = np.where(changes <= 2, lighter.sum(0), len(_CIRCLE) + 1)
    return _shares(pattern[mask[inner]], len(_CIRCLE) + 2)


def _histogram(colours: Float[np.ndarray, "M 3"]) -> Float[np.ndarray, " F"]:
    place = ((colours - _LOWEST) / (_HIGHEST - _LOWEST) * _LAB_BINS).astype(int).clip(0, np.array(_LAB_BINS) - 1)
    return _shares(np.ravel_multi_index(tuple(place.T), _LAB_BINS), int(np.prod(_LAB_BINS)))


def _shares(kinds: Int[np.ndarray, " M"], count: int) -> Float[np.ndarray, " F"]:
    return np.bincount(kinds, minlength=count) / max(len(kinds), 1)


def _middle(height: int, width: int) -> Bool[np.ndarray, "H W"]:
    mask = np.zeros((height, width), dtype=bool)
    mask[height // 5 : -(height // 5), width // 4 : -(width // 4)] = True
    return mask


@cache
def _lab_table() -> Float[np.ndarray, "64 64 64 3"]:
    levels = (np.arange(64) * 4 + 1.5) / 255
    rgb = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ (to_xyz / to_xyz.sum(axis=1, keepdims=True)).T
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    lab = [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])]
    return np.stack(lab, axis=-1).astype(np.float32)
