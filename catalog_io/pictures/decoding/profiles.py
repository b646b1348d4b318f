"""Makes ICC profiles for colours that a picture describes by numbers: chromaticities, a gamma, or codes of H.273."""

import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

MAX_PROFILE_BYTES = 4_000_000  # the tables of a printing press take 0.5 to 2 MB
# In place of a profile that is there, but cannot be read.
UNUSABLE, HIGH_DYNAMIC_RANGE = b"unusable", b"high dynamic range"

# Chromaticities x, y of white, red, green and blue.
_D65 = (0.3127, 0.3290)
_SRGB = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_PRIMARIES = {
    1: _SRGB,
    2: _SRGB,  # not specified
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    12: (*_D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
}
_SRGB_CURVE = 0.0  # in place of an exponent
# Browsers take the curves of television for that of sRGB. 2: not specified.
_CURVES = {**dict.fromkeys((1, 2, 6, 13, 14, 15), _SRGB_CURVE), 4: 2.2, 5: 2.8, 8: 1.0}
_HIGH = (16, 18)
_SRGB_GAMMA, _ALIKE = 0.45455, 0.005
_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def profile_of_png(chunks: Mapping[bytes, bytes]) -> bytes:
    """The profile of a PNG: from its cICP, iCCP, sRGB, or cHRM and gAMA, the first that it has; empty for sRGB."""
    try:
        if b"cICP" in chunks:
            return profile_of_codes(chunks[b"cICP"][0], chunks[b"cICP"][1])
        if b"iCCP" in chunks:
            packed = chunks[b"iCCP"]
            start = packed.index(b"\0") + 2
            return zlib.decompressobj().decompress(packed[start:], MAX_PROFILE_BYTES + 1) or UNUSABLE
        if b"sRGB" in chunks or not chunks:
            return b""
        points = [number / 100_000 for number in struct.unpack(">8I", chunks[b"cHRM"])] if b"cHRM" in chunks else _SRGB
        gamma = struct.unpack(">I", chunks[b"gAMA"])[0] / 100_000 if b"gAMA" in chunks else _SRGB_GAMMA
    except (ValueError, IndexError, struct.error, zlib.error):
        return UNUSABLE
    if gamma == 0:
        return UNUSABLE
    is_srgb_curve = abs(gamma - _SRGB_GAMMA) < _ALIKE
    if is_srgb_curve and np.allclose(points, _SRGB, atol=0.001):
        return b""
    return _matrix_profile(points, _SRGB_CURVE if is_srgb_curve else 1 / gamma)


def profile_of_codes(primaries: int, transfer: int) -> bytes:
    """The profile for code points of H.273, as cICP and AVIF have them; empty for sRGB."""
    if transfer in _HIGH:
        return HIGH_DYNAMIC_RANGE
    if primaries not in _PRIMARIES or transfer not in _CURVES:
        return UNUSABLE
    points, curve = _PRIMARIES[primaries], _CURVES[transfer]
    return b"" if (points, curve) == (_SRGB, _SRGB_CURVE) else _matrix_profile(points, curve)


def _matrix_profile(chromaticities: Sequence[float], exponent: float) -> bytes:
    """An ICC profile of version 4; UNUSABLE where no primaries and white can have these chromaticities."""
    points = np.array(chromaticities).reshape(4, 2)
    if (points[:, 1] <= 0).any() or (points > 1).any():
        return UNUSABLE
    white, *primaries = np.stack([points[:, 0], points[:, 1], 1 - points.sum(axis=1)], axis=1) / points[:, 1:]
    columns = np.stack(primaries, axis=1)
    if abs(np.linalg.det(columns)) < 1e-6 or (abs(_BRADFORD @ white) < 1e-6).any():
        return UNUSABLE
    to_d50 = np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ _D50 / (_BRADFORD @ white)) @ _BRADFORD
    columns = to_d50 @ (columns * np.linalg.solve(columns, white))
    if (abs(columns) > 10).any() or exponent > 100:
        return UNUSABLE
    kind, numbers = (0, (exponent,)) if exponent else (3, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
    curve = struct.pack(">4sIHH", b"para", 0, kind, 0) + _fixed(numbers)
    bodies = [b"XYZ \0\0\0\0" + _fixed(point) for point in (_D50, *columns.T.tolist())] + [curve]
    text = struct.pack(">4sIII4sII", b"mluc", 0, 1, 12, b"enUS", 2, 28) + b"\0-\0\0"
    named = [(b"desc", text), (b"cprt", text)]
    named += zip((b"wtpt", b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC"), bodies, strict=True)
    named += [(b"gTRC", curve), (b"bTRC", curve)]
    table, data, start = struct.pack(">I", len(named)), b"", 128 + 4 + 12 * len(named)
    for name, body in named:
        table += struct.pack(">4sII", name, start + len(data), len(body))
        data += body
    header = struct.pack(">II4s4s4s4s", start + len(data), 0, b"\4\x30\0\0", b"mntr", b"RGB ", b"XYZ ")
    header = header.ljust(36, b"\0") + b"acsp".ljust(32, b"\0") + _fixed(_D50)
    return header.ljust(128, b"\0") + table + data


def _fixed(numbers: Sequence[float]) -> bytes:
    """Numbers as ICC's s15Fixed16."""
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))
