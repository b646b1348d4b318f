"""Finds rows that have an object, a list or a boolean where an id or a title belongs."""

from collections.abc import Collection, Mapping
from typing import Any

import polars as pl

from catalog_io.feeds.text_sources import TextSource
from schemas.cells.literals import parsed

_LIKELY = ("en", "en_US", "en-US", "en_GB", "default", "value", "data", "text")
_TEXT = ("listing_id", "product_id", "title")  # labels and splits are words of any kind


def structure_faults(
    sources: Mapping[str, TextSource],
    text: Mapping[str, pl.Series],
    cells: pl.DataFrame,
    no_text: Mapping[str, Collection[int]],
) -> dict[int, tuple[str, str]]:
    """Row → our column that has no text in it, and why the row cannot be read.

    `text` has our columns, made from `cells`. `no_text`: the rows in which a column had a boolean, a list or an object,
    which is JSON now; other cells may be text that looks like one.
    """
    faults: dict[int, tuple[str, str]] = {}
    for ours in _TEXT:
        if ours == "product_id" and sources[ours] == sources["listing_id"]:
            continue
        suspect = text[ours].str.contains(r"^\s*[\[{]")
        if rows := set().union(*(no_text.get(name, ()) for name in sources[ours].options)):
            suspect |= pl.int_range(len(suspect), eager=True).is_in(rows)
        for row in suspect.arg_true():
            written = text[ours][row]
            name = next((name for name in sources[ours].options if name in cells and cells[name][row] == written), "")
            certain = row in no_text.get(name, ())
            if row not in faults and written is not None and (kind := _kind(written, certain)):
                faults[row] = (
                    ours,
                    f"the column {name!r} holds {kind[0]}, where text is needed; "
                    + (f'map what is in it: {ours} = "{name}.{kind[1]}"' if kind[1] else "map another column"),
                )
    return faults


def _kind(text: str, certain: bool) -> tuple[str, str | None] | None:
    """What the text is instead of text, and the key of what may be meant; None for text, and for nothing."""
    if certain and text in ("true", "false"):
        return "true or false", None
    value: Any = parsed(text)
    if isinstance(value, dict) and value:
        return "an object", _path_to_text(value)
    if isinstance(value, list) and value and (certain or any(isinstance(item, str | dict | list) for item in value)):
        return "a list", _path_to_text(value)
    return None


def _path_to_text(value: Any) -> str:
    """The keys that lead to the likeliest text in an object or a list."""
    keys: list[str] = []
    while isinstance(value, dict | list) and value:
        if isinstance(value, list):
            keys.append("0")
            value = value[0]
        else:
            keys.append(next((key for key in _LIKELY if key in value), next(iter(value))))
            value = value[keys[-1]]
    return ".".join(keys)
