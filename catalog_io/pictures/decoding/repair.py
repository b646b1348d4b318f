"""Repairs files whose picture is whole though its container is not, as browsers do."""

import re

# A line end, NUL or byte-order mark before the picture, which scripts add.
_JUNK = re.compile(
    rb"[\s\0\xef\xbb\xbf\xff\xfe]{1,64}?(?=\xff\xd8\xff|\x89PNG\r|GIF8[79]a|RIFF.{4}WEBP|BM.{4}\0\0\0\0|\0\0.{2}ftyp)",
    re.DOTALL,
)
_MOST_CHUNKS = 10_000  # of a WebP; one of a thousand frames has a thousand


def repaired(data: bytes) -> bytes:
    """The picture from its first byte on; of a WebP, with the length that its chunks have."""
    if junk := _JUNK.match(data):
        data = data[junk.end() :]
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and int.from_bytes(data[4:8], "little") != len(data) - 8:
        return _with_riff_length(data)
    return data


def _with_riff_length(data: bytes) -> bytes:
    """A WebP that ends with its last whole chunk; unchanged where there are too many."""
    at = 12
    for _ in range(_MOST_CHUNKS):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if len(data) - at < 8 or at + 8 + size > len(data):
            break
        at += 8 + size + size % 2
    else:
        return data
    return data[:4] + (at - 8).to_bytes(4, "little") + data[8:at].ljust(at - 8, b"\0")
