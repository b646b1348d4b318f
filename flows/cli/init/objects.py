"""Finds the key of an object that has the id or the title, where a column has objects such as {"en": …, "de": …}."""

from dataclasses import replace

from catalog_io.feeds.paths import value_at
from catalog_io.feeds.read import read_feed
from catalog_io.feeds.settings import FeedSettings
from flows.cli.init.toml import toml_text
from schemas.cells.literals import parsed
from schemas.errors import UserError

_KEYS = {
    "listing_id": ("$oid", "$numberLong", "value"),
    "title": (
        *("en", "en_US", "en-US", "en_us", "en_GB", "en-GB", "EN", "default", "value", "rendered", "#text"),
        *("de", "de_DE", "fr", "fr_FR", "es", "es_ES", "it", "it_IT", "nl", "nl_NL", "pl", "sv", "pt", "ja", "zh"),
    ),
}
_ROWS = 1000


def with_keys(feed: FeedSettings, notes: list[str]) -> FeedSettings:
    """The feed with a path into the objects of a column, where more rows can be read so."""
    for ours, usual in _KEYS.items():
        column = feed.columns.get(ours)
        keys = _keys(feed, column, usual) if isinstance(column, str) else []
        if not keys:
            continue
        paths = [replace(feed, columns={**feed.columns, ours: f"{column}.{key}"}) for key in keys]
        best = min([feed, *paths], key=lambda path: _unreadable(path, ours))
        if best is not feed:
            notes.append(f"{ours}: {toml_text(column)} has objects; {toml_text(best.columns[ours])} is a key of theirs")
            feed = best
    return feed


def _keys(feed: FeedSettings, column: str, usual: tuple[str, ...]) -> list[str]:
    """Those of the usual keys that the objects in the column have in the first rows."""
    try:
        rows = next(read_feed(feed, batch_rows=_ROWS), None)
    except UserError:  # a Parquet column of a type that cannot be text
        return list(usual)
    found: set[str] = set()
    for raw in rows["raw"] if rows is not None else ():
        if raw and "{" in raw[1:]:
            row = parsed(raw)
            value = value_at(row, column) if isinstance(row, dict) else None
            value = parsed(value) if isinstance(value, str) else value
            found.update(value if isinstance(value, dict) else ())
    return [key for key in usual if key in found]


def _unreadable(feed: FeedSettings, ours: str) -> float:
    """The number of the first rows that have no id or title, or cannot be read because it is an object."""
    try:
        rows = next(read_feed(feed, batch_rows=_ROWS), None)
    except UserError:
        return float("inf")
    if rows is None:
        return 0
    bad = rows[ours].is_null()
    return float((bad | rows["fault"].is_not_null() if ours == "title" else bad).sum())
