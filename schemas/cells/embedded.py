"""Reads pictures that a cell of text contains: base64, and data URIs of it."""

import base64
import binascii
import re
from urllib.parse import unquote

_DATA = re.compile(r"data:(?:image/[\w.+-]+|application/octet-stream)?(?:;[\w=.+-]+)*?;base64,", re.IGNORECASE)
_BYTES = re.compile(r"b'([^']*+)'|b\"([^\"]*+)\"")  # as Python prints them
_LETTERS = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_SPACE = re.compile(r"\s+")
# How JPEG, PNG, GIF and WebP begin.
_BEGINNINGS = ("/9j/", "iVBORw0KGgo", "R0lGOD", "UklGR")
_SHORTEST = 40  # a path may be shorter
LONG = 256  # text of so many letters of base64, without a dot, is no path
_LONGEST = 70_000_000

MAY_BE_EMBEDDED = rf"^\s*(?:(?i:data:)|b['\"]|{'|'.join(_BEGINNINGS)})"  # for polars; or text of LONG characters


def embedded(text: str) -> bytes | None:
    """The bytes of a data URI, or of base64 that begins as a picture does or is too long for a path; else None."""
    if len(text) > _LONGEST:
        return None
    if found := _BYTES.fullmatch(text):
        text = found[1] or found[2] or ""
    if found := _DATA.match(text):
        return _decoded(unquote(text[found.end() :]))
    if text.startswith(_BEGINNINGS) and len(text) >= _SHORTEST:
        return _decoded(text)
    return _decoded(text) if len(text) >= LONG and "." not in text and "://" not in text else None


def _decoded(text: str) -> bytes | None:
    letters = _SPACE.sub("", text).replace("-", "+").replace("_", "/")
    if not _LETTERS.fullmatch(letters):
        return None
    letters = letters.rstrip("=")
    whole = letters[: len(letters) - (len(letters) % 4 == 1)]  # without the half of a byte at which text was cut off
    try:
        return base64.b64decode(whole + "=" * (-len(whole) % 4), validate=True)
    except binascii.Error:
        return None
