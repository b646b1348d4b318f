"""The segments of a JPEG file: which of them the picture needs, and which only came along."""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from schemas.pictures import PictureError

__all__ = ["orientation"]
_TAG, _SHORT, _LONG = 0x0112, 3, 4

__all__ = ["JpegParts", "alone", "parts", "passes"]

_END, _SCAN = 0xD9, 0xDA
_FIRST_APP, _EXIF_APP, _ADOBE_APP, _LAST_APP, _COMMENT = 0xE0, 0xE1, 0xEE, 0xEF, 0xFE
_TABLES = {0xC4, 0xCC, 0xDB, 0xDC, 0xDD}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_COMMON_FRAMES = {0xC0, 0xC2}  # baseline and progressive: what every browser and decoder reads
_WITH_LENGTH = {*_TABLES, *_FRAMES, _SCAN, *range(_FIRST_APP, _LAST_APP + 1), _COMMENT}
# The next marker, with what readers skip before it. Possessive: takes time in proportion to what it reads.
_MARKER = re.compile(rb"[^\xff]*+(?:\xff++\x00[^\xff]*+)*+\xff++([^\x00])", re.DOTALL)
# Inside a scan, 0xFF stands for itself before 0, and before a restart.
_AFTER_SCAN = re.compile(rb"\xff(?=[^\x00\xd0-\xd7\xff])")
_MOST_SEGMENTS = 10_000


class JpegParts(NamedTuple):
    """`plain` decodes to the same pixels as the file; `exif` is the first EXIF block, or empty."""

    plain: bytes
    exif: bytes


class _Segment(NamedTuple):
    """From `begin`, which may be before the marker; its content from `start`, coded data of a scan included."""

    marker: int
    begin: int
    start: int
    end: int


def parts(data: bytes) -> JpegParts | None:
    """The JPEG without the metadata before its first scan; None where there is no scan."""
    kept, exif = [b"\xff\xd8"], b""
    for segment in _segments(data):
        if segment.marker == _SCAN:
            return JpegParts(b"".join([*kept, b"\xff\xda", memoryview(data)[segment.start :]]), exif)
        if segment.marker == _EXIF_APP and not exif and data[segment.start + 2 : segment.start + 8] == b"Exif\0\0":
            exif = data[segment.start + 8 : segment.end]
        if _is_needed(segment, data):
            kept.append(_written(segment, data))
    return None


def passes(data: bytes) -> int:
    """How many scans a JPEG has, each of which may go over the whole picture."""
    return sum(segment.marker == _SCAN for segment in _segments(data))


def alone(data: bytes) -> bytes | None:
    """The JPEG without any metadata, and without what follows its end; None where it is unusual in any way."""
    kept, at, frames = [b"\xff\xd8"], 2, 0
    for segment in _segments(data):
        if data[segment.begin : segment.begin + 1] != b"\xff" or segment.begin != at:
            return None
        at = segment.end
        if segment.marker == _END:
            return b"".join([*kept, b"\xff\xd9"]) if frames == 1 else None
        if segment.marker in _FRAMES:
            frames += 1 if segment.marker in _COMMON_FRAMES else 2
        if segment.marker not in _WITH_LENGTH:
            return None
        if segment.marker == _SCAN or _is_needed(segment, data):
            kept.append(_written(segment, data))
    return None


def _segments(data: bytes) -> Iterator[_Segment]:
    """As libjpeg reads them, to the picture's end; PictureError where there are very many."""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        if not (match := _MARKER.match(data, at)):
            return
        marker, start = match[1][0], match.end()
        end = start
        if marker in _WITH_LENGTH:
            end += max(2, int.from_bytes(data[start : start + 2]))
        if end > len(data):
            return
        if marker == _SCAN:
            following = _AFTER_SCAN.search(data, end)
            end = following.start() if following else len(data)
        yield _Segment(marker, at, start, end)
        if marker == _END:
            return
        at = end
    raise PictureError("picture_unreadable", "the file is cut into more pieces than any picture needs")


def _is_needed(segment: _Segment, data: bytes) -> bool:
    """JFIF and Adobe headers say how colours are coded."""
    if segment.marker == _FIRST_APP:
        return data[segment.start + 2 : segment.start + 7] == b"JFIF\0"
    return segment.marker == _ADOBE_APP or segment.marker in _TABLES | _FRAMES


def _written(segment: _Segment, data: bytes) -> bytes:
    return b"\xff" + data[segment.start - 1 : segment.end]


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
