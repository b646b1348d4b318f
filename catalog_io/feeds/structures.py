"""Finds rows that have an object, a list or a boolean where an id or a title belongs."""

from collections.abc import Collection, Mapping
from typing import Any

import polars as pl

from catalog_io.feeds.text_sources import TextSource
from schemas.cells.literals import parsed

_TEXT = ("listing_id", "product_id", "title")  # labels and splits are words of any kind


def structure_faults(
    sources: Mapping[str, TextSource],
    text: Mapping[str, pl.Series],
    cells: pl.DataFrame,
    booleans: Mapping[str, Collection[int]],
) -> dict[int, tuple[str, str]]:
    """Row → our column that has no text in it, and why the row cannot be read. `text`: our columns, from `cells`."""
    faults: dict[int, tuple[str, str]] = {}
    for ours in _TEXT:
        if ours == "product_id" and sources[ours] == sources["listing_id"]:
            continue
        suspect = text[ours].str.contains(r"^\s*[\[{]")
        if rows := set().union(*(booleans.get(name, ()) for name in sources[ours].options)):
            suspect |= pl.int_range(len(suspect), eager=True).is_in(rows)
        for row in suspect.arg_true():
            written = text[ours][row]
            name = next((name for name in sources[ours].options if name in cells and cells[name][row] == written), "")
            if row not in faults and (fault := _fault(ours, name, written, row in booleans.get(name, ()))):
                faults[row] = ours, fault
    return faults


def _fault(ours: str, name: str, text: str | None, is_boolean: bool) -> str | None:
    if is_boolean:
        return f"the column {name!r} holds true or false, where text is needed; map another column"
    value: Any = parsed(text or "")
    if not value or (isinstance(value, list) and not any(isinstance(item, str | dict | list) for item in value)):
        return None
    if isinstance(value, list):
        kind, key = "a list", "0"
    else:
        kind = "an object"
        key = next((key for key in ("en", "default", "value") if key in value), next(iter(value)))
    return f'the column {name!r} holds {kind}, where text is needed; map what is in it: {ours} = "{name}.{key}"'
