"""Parses the segments of a JPEG file, and separates those that the picture needs from metadata."""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from schemas.pictures import PictureError

_ORIENTATION_TAG, _SHORT, _LONG = 0x0112, 3, 4  # of EXIF
_END, _SCAN = 0xD9, 0xDA
_FIRST_APP, _EXIF_APP, _ADOBE_APP, _LAST_APP, _COMMENT = 0xE0, 0xE1, 0xEE, 0xEF, 0xFE
_TABLES = {0xC4, 0xCC, 0xDB, 0xDC, 0xDD}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_COMMON_FRAMES = {0xC0, 0xC2}  # baseline and progressive: what every browser and decoder reads
_WITH_LENGTH = {*_TABLES, *_FRAMES, _SCAN, *range(_FIRST_APP, _LAST_APP + 1), _COMMENT}
# The next marker, and the bytes before it that readers skip. Possessive quantifiers keep the time linear.
_MARKER = re.compile(rb"[^\xff]*+(?:\xff++\x00[^\xff]*+)*+\xff++([^\x00])", re.DOTALL)
# Inside a scan, 0xFF before 0 is a data byte, and before D0 to D7 a restart marker.
_AFTER_SCAN = re.compile(rb"\xff(?=[^\x00\xd0-\xd7\xff])")
_MOST_SEGMENTS = 10_000  # a picture has some tens


class JpegParts(NamedTuple):
    """`plain`: a JPEG with the same pixels as the file; `exif`: the file's first EXIF block, or empty."""

    plain: bytes
    exif: bytes


class _Segment(NamedTuple):
    """One segment: [begin, end) with its marker, [start, end) its content, which for a scan includes the coded data."""

    marker: int
    begin: int
    start: int
    end: int


def split_metadata(data: bytes) -> JpegParts | None:
    """The JPEG without the metadata before its first scan, and its EXIF block; None where it has no scan."""
    kept, exif = [b"\xff\xd8"], b""
    for segment in _segments(data):
        if segment.marker == _SCAN:
            return JpegParts(b"".join([*kept, b"\xff\xda", memoryview(data)[segment.start :]]), exif)
        if segment.marker == _EXIF_APP and not exif and data[segment.start + 2 : segment.start + 8] == b"Exif\0\0":
            exif = data[segment.start + 8 : segment.end]
        if _is_needed(segment, data):
            kept.append(_segment_bytes(segment, data))
    return None


def count_scans(data: bytes) -> int:
    """The number of scans of a JPEG; decoding may visit every pixel in each of them."""
    return sum(segment.marker == _SCAN for segment in _segments(data))


def strip_metadata(data: bytes) -> bytes | None:
    """The JPEG without any metadata or data after its end; None for files that are not plainly well-formed."""
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
            kept.append(_segment_bytes(segment, data))
    return None


def _segments(data: bytes) -> Iterator[_Segment]:
    """The segments up to the picture's end, as libjpeg reads them; PictureError for more than _MOST_SEGMENTS."""
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
    raise PictureError("picture_unreadable", "the file has more pieces than any picture needs")


def _is_needed(segment: _Segment, data: bytes) -> bool:
    """Whether decoding needs the segment; JFIF and Adobe headers define how colours are coded."""
    if segment.marker == _FIRST_APP:
        return data[segment.start + 2 : segment.start + 7] == b"JFIF\0"
    return segment.marker == _ADOBE_APP or segment.marker in _TABLES | _FRAMES


def _segment_bytes(segment: _Segment, data: bytes) -> bytes:
    return b"\xff" + data[segment.start - 1 : segment.end]


def orientation(exif: bytes) -> int:
    """The orientation of an EXIF block, 1 (upright) to 8; 1 where the block is damaged.

    No other entry is read, because the sizes that entries claim cannot be trusted.
    """
    tiff = exif.removeprefix(b"Exif\0\0")
    order = ">" if tiff.startswith(b"MM") else "<"
    try:
        (at,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", tiff, entry)
            if tag == _ORIENTATION_TAG and kind in (_SHORT, _LONG):
                (turn,) = struct.unpack_from(order + ("H" if kind == _SHORT else "I"), tiff, entry + 8)
                return int(turn) if 1 <= turn <= 8 else 1
    except struct.error:
        pass
    return 1
