"""Parses the picture cells of a feed: paths, URLs, bytes, structs of these, or several of them."""

import json
from collections.abc import Iterable
from typing import Any

import polars as pl

PICTURES = pl.List(pl.Struct({"uri": pl.String, "data": pl.Binary}))  # in order; data: the embedded picture, or null


def pictures(cells: pl.Series, separator: str | None) -> pl.Series:
    """A column of text, bytes, struct<bytes, path> or lists of one of these as PICTURES, without blank entries.

    Text is one picture, a JSON array of several, or several with `separator` between them.
    """
    if isinstance(cells.dtype, pl.Array):
        cells = cells.arr.to_list()
    if isinstance(cells.dtype, pl.List):
        lists = cells
    elif is_text(cells.dtype):
        lists = _split_cells(cells.cast(pl.String), separator)
    else:
        lists = pl.select(pl.concat_list(cells)).to_series()
    assert isinstance(lists.dtype, pl.List)
    entries = lists.list.eval(_entry(lists.dtype.inner))
    kept = (pl.element().struct.field("uri") != "") | pl.element().struct.field("data").is_not_null()
    return entries.list.filter(kept).cast(PICTURES).fill_null([])


def picture_list(value: Any, separator: str | None) -> list[dict[str, Any]]:
    """The pictures of one JSON or SQL value, as entries of PICTURES; blank ones are still among them."""
    match value:
        case None:
            return []
        case str():
            return [{"uri": uri, "data": None} for uri in split_cell(value, separator)]
        case bytes():
            return [{"uri": None, "data": value}]
        case {"bytes": bytes() | None as data, **others}:
            path = others.get("path")
            return [{"uri": path if isinstance(path, str) else None, "data": data}]
        case list() | tuple():
            return [entry for item in value for entry in picture_list(item, None)]
        case _:
            return [{"uri": json.dumps(value, ensure_ascii=False, default=str), "data": None}]


def split_cell(cell: str, separator: str | None) -> list[str]:
    """The pictures that a cell of text names."""
    if cell.lstrip().startswith("["):
        try:
            several = json.loads(cell)
        except (ValueError, RecursionError):  # a file name may begin with a bracket
            several = None
        if isinstance(several, list) and all(isinstance(item, str | None) for item in several):
            uris = [item or "" for item in several]
            return uris if is_unicode(uris) else [cell]
    return cell.split(separator) if separator else [cell]


def _split_cells(cells: pl.Series, separator: str | None) -> pl.Series:
    if cells.str.contains(r"^\s*\[").any():
        several = [None if cell is None else split_cell(cell, separator) for cell in cells]
        return pl.Series(several, dtype=pl.List(pl.String))
    return cells.str.split(separator) if separator else pl.select(pl.concat_list(cells)).to_series()


def _entry(dtype: Any) -> pl.Expr:
    """The uri and data of one picture, from an element of the given type."""
    value, uri, data = pl.element(), pl.lit(""), pl.lit(None, pl.Binary)
    if dtype == pl.Binary:
        data = value
    elif parts := fields(dtype):
        data = value.struct.field("bytes" if "bytes" in parts else "data")
        named = [value.struct.field(name) for name in ("path", "uri") if name in parts]
        uri = named[0] if named else uri
    else:
        uri = value.cast(pl.String)
    present = pl.when(data.bin.size() > 0).then(data)  # zero bytes are no picture
    return pl.struct(uri=uri.cast(pl.String).fill_null("").str.strip_chars(), data=present)


def is_text(dtype: pl.DataType | None) -> bool:
    """Whether a column holds text or whole numbers, whose text is always the same."""
    return dtype is not None and (dtype.is_integer() or dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null))


def is_unicode(cells: Iterable[str]) -> bool:
    """Whether no cell has a lone surrogate, which stands for bytes that could not be decoded."""
    try:
        return all(cell.isascii() or cell.encode() for cell in cells)
    except UnicodeEncodeError:
        return False


def fields(dtype: Any) -> dict[str, Any]:
    """The fields of a struct type, name → type; empty for any other type."""
    return {field.name: field.dtype for field in dtype.fields} if isinstance(dtype, pl.Struct) else {}
