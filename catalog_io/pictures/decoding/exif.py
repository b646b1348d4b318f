"""The one thing that EXIF says and pictures need: how to turn them."""

import struct

__all__ = ["orientation"]

_TAG, _SHORT, _LONG = 0x0112, 3, 4


def orientation(exif: bytes) -> int:
    """1 (upright) to 8; 1 where the block is damaged. Other entries are not read: their sizes are anybody's claim."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order = ">" if tiff.startswith(b"MM") else "<"
    try:
        (at,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", tiff, entry)
            if tag == _TAG and kind in (_SHORT, _LONG):
                (turn,) = struct.unpack_from(order + ("H" if kind == _SHORT else "I"), tiff, entry + 8)
                return int(turn) if 1 <= turn <= 8 else 1
    except struct.error:
        pass
    return 1
