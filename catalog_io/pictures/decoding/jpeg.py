"""Parses the segments of a JPEG file, and separates those that the picture needs from metadata."""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from catalog_io.pictures.decoding.profiles import UNUSABLE
from schemas.pictures import PictureError

_ORIENTATION_TAG, _SHORT, _LONG = 0x0112, 3, 4  # of EXIF
_END, _SCAN = 0xD9, 0xDA
_FIRST_APP, _EXIF_APP, _ICC_APP, _ADOBE_APP, _LAST_APP, _COMMENT = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE
_ICC = b"ICC_PROFILE\0"
_TABLES = {0xC4, 0xCC, 0xDB, 0xDC, 0xDD}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_COMMON_FRAMES = {0xC0, 0xC2}  # baseline and progressive: what every browser and decoder reads
_CODINGS = dict.fromkeys((0xC3, 0xC7, 0xCB, 0xCF), "lossless") | dict.fromkeys((0xC5, 0xC6, 0xCD, 0xCE), "hierarchical")
_CODINGS |= dict.fromkeys((0xC9, 0xCA), "arithmetic-coded")
_FRAME_HEADER, _SCAN_HEADER = 9, 14  # bytes: the shortest frame, with its marker; the longest scan
_WITH_LENGTH = {*_TABLES, *_FRAMES, _SCAN, *range(_FIRST_APP, _LAST_APP + 1), _COMMENT}
# The next marker, and the bytes before it that readers skip. Possessive quantifiers keep the time linear.
_MARKER = re.compile(rb"[^\xff]*+(?:\xff++\x00[^\xff]*+)*+\xff++([^\x00])", re.DOTALL)
# Inside a scan, 0xFF before 0 is a data byte, and before D0 to D7 a restart marker.
_AFTER_SCAN = re.compile(rb"\xff(?=[^\x00\xd0-\xd7\xff])")
_MOST_SEGMENTS = 10_000  # a picture has some tens


class JpegParts(NamedTuple):
    """`plain`: a JPEG with the same pixels as the file; `exif`: its first EXIF block; `icc`: its profile, or UNUSABLE;
    `scans`: their headers; `end`: the offset of the last byte that was read; `is_ended`: whether it has an end marker.
    """

    plain: bytes
    exif: bytes
    icc: bytes
    frame: bytes
    scans: list[bytes]
    end: int
    is_ended: bool

    @property
    def coding(self) -> str:
        """A name of the coding that few programs read, or "" for an ordinary one."""
        marker, precision = self.frame[0], self.frame[3]
        return _CODINGS.get(marker, "") or ("" if precision == 8 else f"{precision}-bit")


class _Segment(NamedTuple):
    """One segment: [begin, end) with its marker, [start, end) its content, which for a scan includes the coded data."""

    marker: int
    begin: int
    start: int
    end: int


def split_metadata(data: bytes) -> JpegParts | None:
    """The parts of a JPEG; None where it has no scan."""
    kept, exif, icc, frame, scans, start, end = [b"\xff\xd8"], b"", list[bytes](), b"", list[bytes](), 0, 2
    marker = 0
    for segment in _segments(data):
        marker, end = segment.marker, segment.end
        if marker == _SCAN:
            start = start or segment.start
            scans.append(data[segment.start : segment.start + _SCAN_HEADER])
        elif start:
            continue
        elif marker == _EXIF_APP and not exif and data[segment.start + 2 : segment.start + 8] == b"Exif\0\0":
            exif = data[segment.start + 8 : segment.end]
        elif marker == _ICC_APP and data.startswith(_ICC, segment.start + 2):
            icc.append(data[segment.start + 2 + len(_ICC) : segment.end])
        elif marker in _FRAMES:
            frame = data[segment.start - 1 : segment.end]
        if not start and _is_needed(segment, data):
            kept.append(_segment_bytes(segment, data))
    if not start or len(frame) < _FRAME_HEADER:
        return None
    plain = b"".join([*kept, b"\xff\xda", memoryview(data)[start:end]])
    return JpegParts(plain, exif, _profile(icc), frame, scans, end, marker == _END)


def _profile(chunks: list[bytes]) -> bytes:
    """The profile that numbered chunks make, in any order; UNUSABLE where one is missing or repeated."""
    numbered = {chunk[:2]: chunk[2:] for chunk in chunks}
    numbers = [bytes([number, len(chunks)]) for number in range(1, len(chunks) + 1)] if len(chunks) < 256 else [b""]
    return b"".join(numbered[number] for number in numbers) if numbered.keys() == set(numbers) else UNUSABLE


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
