"""Fabrics of the sample's dresses: one painter for each pattern.

A painter returns the share of the second (and third) colour at each pixel of the cloth. The ground, which is the
colour of the dress's label, covers more than half.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.floating]


@dataclass(frozen=True)
class Cloth:
    """Where each pixel of a picture lies on the upright dress, in pixels; planes are (height, width)."""

    across: Plane
    down: Plane
    above: Callable[[float], float]  # share of the dress's area -> the height `down` above which that share lies


# The second colour's share of each pixel, then the third's, laid over it.
Painter = Callable[[np.random.Generator, Cloth], tuple[Plane, ...]]


def noise(rng: np.random.Generator, shape: tuple[int, ...], cell: int) -> Plane:
    """Smooth noise of mean 0 and deviation about 1, with lumps of about `cell` pixels."""
    coarse = rng.standard_normal((shape[0] // cell + 2, shape[1] // cell + 2)).astype(np.float32)
    lumps = Image.fromarray(coarse).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(lumps, np.float32) * 1.3


def _edge(inside: Plane, softness: float = 1.0) -> Plane:
    """1 where `inside` (a distance in pixels) is positive, 0 where negative, a soft step between."""
    share: Plane = np.clip(inside / (2 * softness) + 0.5, 0, 1)
    return share


def _off_grid(position: Plane, period: float) -> Plane:
    """Distance in pixels to the nearest multiple of the period."""
    distance: Plane = np.abs(position - period * np.rint(position / period))
    return distance


def _motifs(rng: np.random.Generator, cloth: Cloth, pitch: float, jitter: float = 0.0) -> tuple[Plane, Plane]:
    """Radius in pixels and angle of each pixel around the nearest motif of a brick lattice.

    With jitter, a share of the pitch, motifs also differ in place, turn and size.
    """
    row = np.floor(cloth.down / pitch)
    across = cloth.across + pitch / 2 * (row % 2)
    column = np.floor(across / pitch)
    x, y = across - (column + 0.5) * pitch, cloth.down - (row + 0.5) * pitch
    if not jitter:
        return np.hypot(x, y), np.arctan2(y, x)
    motif = (row.astype(np.int32) * 7 + column.astype(np.int32)) % 64
    move_x, move_y = rng.uniform(-jitter * pitch, jitter * pitch, (2, 64)).astype(np.float32)
    turn, size = rng.uniform(0, 6.3, 64).astype(np.float32), rng.uniform(0.85, 1.1, 64).astype(np.float32)
    x, y = x - move_x[motif], y - move_y[motif]
    return np.hypot(x, y) / size[motif], np.arctan2(y, x) + turn[motif]


def _solid(rng: np.random.Generator, cloth: Cloth) -> tuple[Plane, ...]:
    return ()


def _striped(rng: np.random.Generator, cloth: Cloth) -> tuple[Plane, ...]:
    period = rng.uniform(16, 25)
    axis = cloth.down if rng.random() < 0.6 else cloth.across
    return (_edge(0.19 * period - _off_grid(axis, period)),)


def _checked(rng: np.random.Generator, cloth: Cloth) -> tuple[Plane, ...]:
    period = rng.uniform(20, 30)
    bands = [_edge(0.16 * period - _off_grid(axis, period)) for axis in (cloth.across, cloth.down)]
    return (np.minimum(0.65 * (bands[0] + bands[1]), 1),)


def _polka_dot(rng: np.random.Generator, cloth: Cloth) -> tuple[Plane, ...]:
    pitch = rng.uniform(19, 27)
    radius, _ = _motifs(rng, cloth, pitch)
    return (_edge(0.29 * pitch - radius),)


def _floral(rng: np.random.Generator, cloth: Cloth) -> tuple[Plane, ...]:
    pitch = rng.uniform(38, 46)
    radius, angle = _motifs(rng, cloth, pitch, 0.06)
    petals = 0.42 * pitch * (0.7 + 0.3 * np.cos(5 * angle))
    return _edge(petals - radius), _edge(0.14 * pitch - radius)


def _animal_print(rng: np.random.Generator, cloth: Cloth) -> tuple[Plane, ...]:
    """A leopard's rosettes: broken dark rings around darker ground."""
    pitch = rng.uniform(16, 20)
    radius, angle = _motifs(rng, cloth, pitch, 0.15)
    lumpy = radius + 0.07 * pitch * np.sin(3 * angle)
    ring = 0.12 * pitch - np.abs(lumpy - 0.27 * pitch)
    gaps = 5 * (np.sin(2 * angle + np.cos(angle)) + 0.6)
    return _edge(np.minimum(ring, gaps)), 0.7 * _edge(0.15 * pitch - lumpy)


def _geometric(rng: np.random.Generator, cloth: Cloth) -> tuple[Plane, ...]:
    """Framed diamonds."""
    width, height = rng.uniform(30, 38), rng.uniform(38, 50)
    from_heart = _off_grid(cloth.across, width) + _off_grid(cloth.down, height) * (width / height)
    frame = 0.075 * width - np.abs(from_heart - 0.46 * width)
    return (_edge(np.maximum(frame, 0.2 * width - from_heart)),)


def _chevron(rng: np.random.Generator, cloth: Cloth) -> tuple[Plane, ...]:
    period, width = rng.uniform(20, 26), rng.uniform(24, 32)
    zigzag = cloth.down + 1.2 * _off_grid(cloth.across, width)
    return (_edge(0.19 * period - _off_grid(zigzag, period)),)


def _color_block(rng: np.random.Generator, cloth: Cloth) -> tuple[Plane, ...]:
    """A yoke and a hem of the other colour."""
    yoke, hem = cloth.above(rng.uniform(0.15, 0.19)), cloth.above(rng.uniform(0.78, 0.82))
    return (_edge(np.maximum(yoke - cloth.down, cloth.down - hem)),)


def _tie_dye(rng: np.random.Generator, cloth: Cloth) -> tuple[Plane, ...]:
    """Frayed rings around a knot."""
    x, y = cloth.across - rng.uniform(-12, 12), cloth.down - cloth.above(rng.uniform(0.35, 0.6))
    frayed = np.hypot(x, y) + 2.5 * np.sin(11 * np.arctan2(y, x)) + 2 * noise(rng, x.shape, 10)
    period = rng.uniform(26, 32)
    return (0.95 * _edge(0.19 * period - _off_grid(frayed, period), 3),)


def _camouflage(rng: np.random.Generator, cloth: Cloth) -> tuple[Plane, ...]:
    dark, pale = noise(rng, cloth.down.shape, 17), noise(rng, cloth.down.shape, 17)
    return _edge(8 * (dark - 0.65)), _edge(8 * (pale - 1.15))


def _ombre(rng: np.random.Generator, cloth: Cloth) -> tuple[Plane, ...]:
    top, bottom = cloth.above(rng.uniform(0.4, 0.48)), cloth.above(rng.uniform(0.82, 0.88))
    return (np.clip((cloth.down - top) / (bottom - top), 0, 0.95),)


PATTERNS: dict[str, Painter] = {
    "solid": _solid,
    "striped": _striped,
    "checked": _checked,
    "polka dot": _polka_dot,
    "floral": _floral,
    "animal print": _animal_print,
    "geometric": _geometric,
    "chevron": _chevron,
    "color block": _color_block,
    "tie-dye": _tie_dye,
    "camouflage": _camouflage,
    "ombre": _ombre,
}
