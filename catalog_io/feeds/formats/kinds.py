"""Recognises files that are of another kind than their names say, so that the message can name the kind."""

import re
from typing import NamedTuple

from schemas.errors import UserError


class Kind(NamedTuple):
    """What a file is, and what the user can do with it. `suffix` is the one by which it would be read, if any."""

    name: str
    way_out: str
    suffix: str = ""


_SAVE = "save its sheet as CSV"
_UNPACK = "unpack it, and name the file that was in it"
_EXCEL = Kind("an Excel workbook", _SAVE)
_ZIP = Kind("a zip archive", _UNPACK)
_HTML = Kind(
    "a web page (HTML), perhaps one that asks to log in", "open the address in a browser, and correct `source`"
)
_MAGIC = (
    (b"%PDF-", Kind("a PDF", "ask for the listings as CSV")),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind("an old Excel workbook or another file of Microsoft Office", _SAVE)),
    (b"PAR1", Kind("a Parquet file", "call it .parquet", ".parquet")),
    (b"ARROW1", Kind("an Arrow (Feather) file", "convert it to Parquet")),
    (b"SQLite format 3\0", Kind("an SQLite database", 'set source = "sqlite:///…" and a `query`')),
    (b"\x89HDF\r\n\x1a\n", Kind("an HDF5 file", "convert it to Parquet")),
    (b"7z\xbc\xaf\x27\x1c", Kind("a 7z archive", _UNPACK)),
    (b"Rar!\x1a\x07", Kind("a RAR archive", _UNPACK)),
    (b"\xff\xd8\xff", Kind("a JPEG picture", "correct `source`")),
    (b"\x89PNG\r\n", Kind("a PNG picture", "correct `source`")),
)
_IN_ZIP = (
    (b"xl/", _EXCEL),
    (b"mimetypeapplication/vnd.oasis.opendocument", Kind("an OpenDocument spreadsheet", _SAVE)),
    (b"Index/Document.iwa", Kind("a Numbers spreadsheet", _SAVE)),
)
_TEXTS = (
    (re.compile(rb"<(?:!doctype\s+html|html|head|body|script|table)[\s>]", re.IGNORECASE), _HTML),
    (re.compile(rb"<(?:\?xml|rss|feed)[\s>]"), Kind("an XML file", "call it .xml", ".xml")),
    (re.compile(rb"\[?\s*\{\s*\""), Kind("a JSON file", "call it .jsonl", ".jsonl")),
)


def kind_of(head: bytes) -> Kind | None:
    """What the file with these first bytes is; None for text in lines, and for what is not known."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return next((kind for mark, kind in _IN_ZIP if mark in head), _ZIP)
    if head[257:262] == b"ustar":
        return Kind("a tar archive", _UNPACK)
    if found := next((kind for magic, kind in _MAGIC if head.startswith(magic)), None):
        return found
    text = head[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((kind for pattern, kind in _TEXTS if pattern.match(text)), None)


def refuse_other_kinds(head: bytes, shown: str, suffix: str | None = None) -> None:
    """Raises UserError where the first bytes of a file show that it cannot be read, or not by this suffix."""
    kind = kind_of(head)
    if kind and (not kind.suffix or (suffix is not None and suffix != kind.suffix)):
        raise UserError(f"{shown}: this is {kind.name}; {kind.way_out}")
