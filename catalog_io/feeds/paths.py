"""Paths into objects: the column `title.en` is the key `en` of the objects in the column `title`."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from schemas.cells.invisible import visible
from schemas.cells.literals import parsed


def split_path(name: str, columns: Collection[str]) -> tuple[str, tuple[str, ...]] | None:
    """The column that a name means, and the keys below it: a column of that very name, or one that looks the same,
    otherwise the longest name of a column before a dot. None where there is neither."""
    if name in columns:
        return name, ()
    seen = visible(name)
    if (alike := next((column for column in columns if visible(column) == seen), None)) is not None:
        return alike, ()
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        if (column := ".".join(parts[:end])) in columns:
            return column, tuple(parts[end:])
    return None


def value_at(row: Mapping[str, Any], name: str) -> Any:
    """The value at a name or path in a row of JSON values; None where the row has none there."""
    found = split_path(name, row)
    return _below(row[found[0]], found[1]) if found else None


def cells_at(cells: pl.DataFrame, name: str) -> pl.Series:
    """The cells at a name or path. Text cells on the way contain JSON. KeyError where there is no such column."""
    found = split_path(name, cells.columns)
    if found is None:
        raise KeyError(name)
    column, keys = found
    series = cells[column]
    for at, key in enumerate(keys):
        if isinstance(series.dtype, pl.Struct) and any(field.name == key for field in series.dtype.fields):
            series = series.struct.field(key)
        elif isinstance(series.dtype, pl.List) and key.isdecimal():
            series = series.list.get(int(key), null_on_oob=True)
        else:
            values = [_below(value, keys[at:]) for value in series.cast(pl.String)]
            return pl.Series(name, [text_of(value) for value in values], dtype=pl.String)
    return series.alias(name)


def with_paths(cells: pl.DataFrame, names: Iterable[str]) -> pl.DataFrame:
    """The cells with a column for each of the names that is a path."""
    paths = [name for name in names if name not in cells.columns]
    return cells.with_columns(cells_at(cells, name) for name in paths) if paths else cells


def dtype_at(schema: Mapping[str, Any], name: str) -> Any:
    """The type of the cells at a name or path in a table of these types; None where there can be none."""
    found = split_path(name, schema)
    if found is None:
        return None
    column, keys = found
    dtype = schema[column]
    for key in keys:
        if dtype == pl.String:  # which may contain JSON
            return dtype
        inner = {field.name: field.dtype for field in dtype.fields} if isinstance(dtype, pl.Struct) else {}
        is_item = isinstance(dtype, pl.List) and key.isdecimal()
        dtype = dtype.inner if isinstance(dtype, pl.List) and is_item else inner.get(key)
        if dtype is None:
            return None
    return dtype


def text_of(value: Any) -> str | None:
    """A JSON value as text: text itself, and anything else as JSON; None for null."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _below(value: Any, keys: Sequence[str]) -> Any:
    for at, key in enumerate(keys):
        if isinstance(value, str):
            value = parsed(value)
        if isinstance(value, Mapping):
            rest = ".".join(keys[at:])  # a key may have dots of its own
            if rest in value:
                return value[rest]
            value = value.get(key)
        elif isinstance(value, list | tuple) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value
