"""Finds the pictures in values: in text that names or contains some, in objects, and in lists of these."""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import polars as pl

from schemas.cells.embedded import LONG, MAY_BE_EMBEDDED, embedded
from schemas.cells.literals import parsed
from schemas.cells.spreadsheets import linked

# The keys of objects that name their picture, largest picture first, written without capitals and marks.
_KEYS = (
    *("bytes", "base64", "b64json", "original", "originalsrc", "originalurl", "hires", "zoom", "raw", "full"),
    *("fullsize", "xlarge", "large", "url", "secureurl", "src", "imageurl", "imgurl", "imagesrc", "imagelink"),
    *("sourceurl", "contenturl", "downloadurl", "image", "img", "picture", "photo", "uri", "path", "filepath"),
    *("file", "filename", "href", "link", "source", "main", "primary", "default", "featured", "regular", "medium"),
    *("standard", "small", "thumb", "thumbnail"),
    # of objects around those
    *("node", "nodes", "edges", "images", "pictures", "photos", "urls", "sizes", "media", "gallery", "attributes"),
    *("data", "items", "formats"),
)
_ADDRESS_KEY = re.compile(
    r"(?:image|img|photo|picture|pic|thumb|thumbnail|media|cdn|file)\w*(?:url|src|uri|link|path|href)"
)
_NO_LETTER = re.compile(r"[^a-z0-9]")
_MOST_NESTING = 20
_FEWEST_BYTES = 32  # of a picture
_LONGEST_SHOWN = 300  # characters of a value that names no picture
_ADDRESS_IN_BRACKETS = re.compile(r"\(((?:https?:)?//[^\s()]+)\)")
_IMAGE_TAG = re.compile(r"<img\b[^<>]*?\bsrc\s*=\s*[\"']?([^\"'\s<>]+)", re.IGNORECASE)
_PLAIN_NAME = re.compile(r"https?://\S+|[^\"'\[\]{}]+\.(?:jpe?g|png|webp|gif|avif|heic|bmp)", re.IGNORECASE)
# What `pictures_of_text` may take for something else than names with a separator between them; also long text.
_ODD = rf"^\s*[\[({{=<]|\((?:https?:)?//|{MAY_BE_EMBEDDED}"

Entry = dict[str, Any]  # of PICTURES


def pictures_of_value(value: Any, separator: str | None, nesting: int = 0) -> list[Entry]:
    """The pictures of one JSON or SQL value, in order; blank ones are still among them. A value that names none is an
    entry of its JSON text."""
    match value:
        case None:
            return []
        case str():
            return pictures_of_text(value, separator, nesting)
        case bytes():
            return [{"uri": None, "data": value}]
        case {"bytes": bytes(data), "path": str(path)}:
            return [{"uri": path, "data": data}]
        case Mapping() if nesting < _MOST_NESTING:
            found = _pictures_of_object(value, nesting + 1)
            return [_named(_json(value))] if found is None else found
        case list() if _is_bytes(value):
            return [{"uri": None, "data": bytes(value)}]
        case list() | tuple() if nesting < _MOST_NESTING and not _is_array(value):
            return [entry for item in value for entry in pictures_of_value(item, None, nesting + 1)]
        case _:
            return [_named(_json(value))]


def pictures_of_text(cell: str, separator: str | None, nesting: int = 0) -> list[Entry]:
    """The pictures of a cell of text: names with the separator between them, or a list, an object or a formula that
    names them, or base64."""
    text = cell.strip()
    if text[:1] in ("[", "{", "("):
        value = parsed(text)
        if isinstance(value, dict) or (value and all(isinstance(item, str | dict | list | None) for item in value)):
            return pictures_of_value(value, None, nesting)
        if value is None and (names := _unquoted(text)):
            return list(map(_named, names))
    if text[:5].lower() == "data:":
        parts = re.split(rf"{re.escape(separator)}\s*(?=data:)", text) if separator else [text]
        return [_embedded_or_named(part) for part in parts]
    if address := linked(text):
        return [_named(address)]
    if text.endswith(")") and text[:4].lower() != "http" and (names := _ADDRESS_IN_BRACKETS.findall(text)):
        return list(map(_named, names))  # Airtable's `name (address), name (address)`, and Markdown
    if text[:1] == "<" and (names := _IMAGE_TAG.findall(text)):
        return list(map(_named, names))
    return list(map(_embedded_or_named, cell.split(separator) if separator else [cell]))


def odd_texts(cells: pl.Series) -> pl.Series:
    """Which cells `pictures_of_text` may take for something else than names with a separator between them."""
    return (cells.str.contains(_ODD) | (cells.str.len_bytes() >= LONG)).fill_null(False)


def holds_pictures(dtype: Any) -> bool:
    """Whether values of a type of polars can be pictures: text, bytes, objects with one of the keys, lists of these."""
    if isinstance(dtype, pl.List | pl.Array):
        return holds_pictures(dtype.inner)
    if isinstance(dtype, pl.Struct):
        return any(_names_picture(_plain(field.name)) and holds_pictures(field.dtype) for field in dtype.fields)
    return dtype is not None and bool(
        dtype.is_integer() or dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null, pl.Binary)
    )


def _pictures_of_object(value: Mapping[Any, Any], nesting: int) -> list[Entry] | None:
    """The pictures that an object names; none where its keys for one are empty, None where it has no such key."""
    plain = {_plain(str(key)): item for key, item in value.items()}
    if all(key.isdecimal() for key in plain):  # a list of PHP, or nothing
        return pictures_of_value(list(value.values()), None, nesting)
    keys = [*(key for key in _KEYS if key in plain), *(key for key in plain if _ADDRESS_KEY.fullmatch(key))]
    options = [plain[key] for key in dict.fromkeys(keys) if not isinstance(plain[key], bool | int | float)]
    if not options:
        return None
    lists = [option for option in options if isinstance(option, list) and not _is_bytes(option)]
    if len(lists) == len(options) and len(set(map(len, lists))) == 1:  # one list for each size of picture
        rows: Sequence[Sequence[Any]] = list(zip_longest(*lists))
    else:
        rows = [options]
    return [entry for row in rows for entry in _first_picture(row, nesting)]


def _first_picture(options: Sequence[Any], nesting: int) -> list[Entry]:
    for option in options:
        found = [
            entry for entry in pictures_of_value(option, None, nesting) if entry["data"] or (entry["uri"] or "").strip()
        ]
        if found:
            return found
    return []


def _embedded_or_named(text: str) -> Entry:
    data = embedded(text.strip())
    return _named(text) if data is None else {"uri": None, "data": data}


def _is_bytes(value: list[Any]) -> bool:
    """Whether the value is bytes as JavaScript and Rust print them."""
    return len(value) > _FEWEST_BYTES and all(type(item) is int and 0 <= item < 256 for item in value)


def _is_array(value: Any) -> bool:
    """Whether the value is an array of numbers: fractions, or whole numbers in several dimensions."""
    dimensions = 0
    while isinstance(value, list | tuple) and value:
        value, dimensions = value[0], dimensions + 1
    return isinstance(value, float) or (isinstance(value, int) and dimensions > 1)


def _unquoted(text: str) -> list[str]:
    """The names in a list without quotation marks, as Java and PostgreSQL print it: [a.jpg, b.jpg], {a.jpg,b.jpg}."""
    if text[0] + text[-1] not in ("[]", "{}"):
        return []
    names = [name.strip().strip('"') for name in text[1:-1].split(",")]
    return names if all(_PLAIN_NAME.fullmatch(name) for name in names) else []


def _named(uri: str) -> Entry:
    return {"uri": uri, "data": None}


def _names_picture(key: str) -> bool:
    return key in _KEYS or key.isdecimal() or _ADDRESS_KEY.fullmatch(key) is not None


def _plain(key: str) -> str:
    return _NO_LETTER.sub("", key.lower())


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
