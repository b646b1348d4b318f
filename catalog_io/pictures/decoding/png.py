"""Reads the chunks of a PNG file, and keeps those that decoding needs."""

import zlib
from typing import NamedTuple

from schemas.pictures import PictureError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\0\0\0\0IEND\xaeB`\x82"
_NEEDED = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"acTL", b"fcTL", b"fdAT"}
_COLOUR = {b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"}
_LEGACY_EXIF = b"Raw profile type exif\0"
_TEXT = {b"tEXt", b"zTXt", b"iTXt"}
_MOST_CHUNKS = 100_000  # a picture of 50 MB has some thousands


class PngParts(NamedTuple):
    """`plain`: a PNG with the same pixels; `colour`: the first chunk of each kind that says what its colours mean."""

    plain: bytes
    colour: dict[bytes, bytes]


def split_chunks(data: bytes) -> PngParts:
    """The parts of a PNG, as browsers read it: chunks that no pixel depends on may be damaged, and the end missing.

    PictureError where the header, palette or pixels do not have their checksum.
    """
    kept, colour, at, seen_pixels = [_SIGNATURE], dict[bytes, bytes](), len(_SIGNATURE), False
    view = memoryview(data)
    for _ in range(_MOST_CHUNKS):
        length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        body, end = view[at + 8 : at + 8 + length], at + 12 + length
        if kind == b"IEND" or len(kind) < 4 or not kind.isalpha():
            break
        seen_pixels |= kind == b"IDAT"
        if end > len(data):
            if kind == b"IDAT":  # whether all pixels are there is for the decoder to say
                kept.append(_chunk(kind, bytes(body)))
            break
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            if kind[:1].isupper():
                raise PictureError("picture_truncated", f"the picture's data is damaged (checksum of {kind.decode()})")
        elif kind in _NEEDED or (kind in _TEXT and bytes(body[:22]) == _LEGACY_EXIF):
            kept.append(bytes(view[at:end]))
        elif kind in _COLOUR and not seen_pixels:
            colour.setdefault(kind, bytes(body))
        at = end
    else:
        raise PictureError("picture_unreadable", "the file has more pieces than any picture needs")
    return PngParts(b"".join([*kept, _END]), colour)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)
