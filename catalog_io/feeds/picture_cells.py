"""Parses the picture cells of a feed: paths, URLs, bytes, objects that name them, or several of these."""

from collections.abc import Iterable
from typing import Any

import polars as pl

from catalog_io.feeds.picture_values import odd_texts, pictures_of_text, pictures_of_value

PICTURES = pl.List(pl.Struct({"uri": pl.String, "data": pl.Binary}))  # in order; data: the embedded picture, or null


def pictures(cells: pl.Series, separator: str | None) -> pl.Series:
    """A column of text, bytes, objects or lists of these as PICTURES, without blank entries."""
    if isinstance(cells.dtype, pl.Array):
        cells = cells.arr.to_list()
    if is_text(cells.dtype):
        return _pictures_of_texts(cells.cast(pl.String), separator)
    lists = cells if isinstance(cells.dtype, pl.List) else pl.select(pl.concat_list(cells)).to_series()
    assert isinstance(lists.dtype, pl.List)
    if not _is_simple(lists.dtype.inner):
        values = [pictures_of_value(value, separator) for value in cells.to_list()]
        lists = pl.Series(cells.name, values, dtype=PICTURES)
    assert isinstance(lists.dtype, pl.List)
    return _kept(lists.list.eval(_entry(lists.dtype.inner)))


def _pictures_of_texts(cells: pl.Series, separator: str | None) -> pl.Series:
    names = cells.str.split(separator) if separator else pl.select(pl.concat_list(cells)).to_series()
    found = _kept(names.list.eval(_entry(pl.String)))
    odd = odd_texts(cells)
    if not odd.any():
        return found
    values = [pictures_of_text(cell, separator) if may else [] for cell, may in zip(cells, odd, strict=True)]
    several = pl.Series(cells.name, values, dtype=PICTURES)
    return _kept(several.list.eval(_entry(PICTURES.inner))).zip_with(odd, found)


def _kept(entries: pl.Series) -> pl.Series:
    kept = (pl.element().struct.field("uri") != "") | pl.element().struct.field("data").is_not_null()
    return entries.list.eval(pl.element().filter(kept)).cast(PICTURES).fill_null([])


def _is_simple(dtype: Any) -> bool:
    """Whether `_entry` can read the type: text, bytes, or a struct of bytes with or without a path."""
    return is_text(dtype) or dtype == pl.Binary or pl.Binary in (fields(dtype).get("bytes"), fields(dtype).get("data"))


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
