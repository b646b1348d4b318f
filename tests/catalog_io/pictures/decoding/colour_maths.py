"""Reference conversions in floats, from chromaticities to sRGB and CIELAB, and profiles that are made here."""

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from catalog_io.pictures.decoding.profiles import _matrix_profile

Floats = np.ndarray[tuple[int, ...], np.dtype[np.floating[Any]]]

D65, D50 = (0.3127, 0.3290), (0.3457, 0.3585)
# White, red, green and blue; the exponent of the curve.
SPACES: dict[str, tuple[tuple[float, ...], float]] = {
    "Adobe RGB": ((*D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06), 563 / 256),
    "Display P3": ((*D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06), 2.2),
    "ProPhoto RGB": ((*D50, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001), 1.8),
    "wide gamut, linear": ((*D50, 0.735, 0.265, 0.115, 0.826, 0.157, 0.018), 1.0),
}
SRGB = (*D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
PATCHES = [(200, 30, 60), (30, 160, 60), (40, 60, 190), (128, 128, 128), (240, 220, 90), (20, 20, 30), (230, 200, 190)]
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def profile(space: str) -> bytes:
    return _matrix_profile(*SPACES[space])


def _xyz(x: float, y: float) -> Floats:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _to_xyz(points: tuple[float, ...], white: tuple[float, float] = D65) -> Floats:
    """The matrix from linear RGB to XYZ, adapted to the white."""
    columns = np.stack([_xyz(points[at], points[at + 1]) for at in (2, 4, 6)], axis=1)
    matrix = columns * np.linalg.solve(columns, _xyz(*points[:2]))
    cones = np.diag((_BRADFORD @ _xyz(*white)) / (_BRADFORD @ _xyz(*points[:2])))
    adapted: Floats = np.linalg.inv(_BRADFORD) @ cones @ _BRADFORD @ matrix
    return adapted


def srgb_of(colour: tuple[int, ...], points: tuple[float, ...], exponent: float) -> Floats:
    """0 to 255, clipped to what sRGB has."""
    linear = np.linalg.inv(_to_xyz(SRGB)) @ _to_xyz(points) @ ((np.array(colour) / 255) ** exponent)
    return encoded_srgb(linear)


def encoded_srgb(linear: Floats) -> Floats:
    linear = linear.clip(0, 1)
    curved: Floats = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return curved * 255


def lab_of(srgb: Floats, white: tuple[float, float] = D65) -> Floats:
    value = np.asarray(srgb, np.float64) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    t = _to_xyz(SRGB, white) @ linear / _xyz(*white)
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(one: Floats, other: Floats) -> float:
    """ΔE of 1976 between two colours of sRGB."""
    return float(np.linalg.norm(lab_of(one) - lab_of(other)))


def icc(space: bytes, pcs: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr") -> bytes:
    """A profile of version 2 with these tags."""
    table, data, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, body in tags.items():
        table += struct.pack(">4sII", name, start + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    header = struct.pack(">II4s4s4s4s", start + len(data), 0, b"\2\x20\0\0", kind, space, pcs)
    header = header.ljust(36, b"\0") + b"acsp".ljust(32, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + table + data


def gray_profile(exponent: float) -> bytes:
    curve = struct.pack(">4sIIHH", b"curv", 0, 1, round(exponent * 256), 0)
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    return icc(b"GRAY", b"XYZ ", {b"wtpt": white, b"kTRC": curve})


def ink_profile(colour: Callable[[Floats], Floats], steps: int = 9) -> bytes:
    """For CMYK, with a table of `steps`⁴ colours; `colour`: ink (0 to 1) → sRGB."""
    axis = np.linspace(0, 1, steps)
    table = bytearray()
    for ink in np.stack(np.meshgrid(axis, axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 4):
        lightness, a, b = lab_of(colour(ink), D50)
        table += bytes([round(lightness * 2.55), *(int(np.clip(round(value + 128), 0, 255)) for value in (a, b))])
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    ramp = bytes(range(256))
    lut = struct.pack(">4sIBBBB", b"mft1", 0, 4, 3, steps, 0) + identity + ramp * 4 + bytes(table) + ramp * 3
    return icc(b"CMYK", b"Lab ", {b"A2B0": lut}, b"prtr")
