"""The table of published data sets: known files with known columns, which are read like a merchant's feed."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from catalog_io.feeds.columns import FeedColumns, FeedReader
from catalog_io.feeds.files import FeedFile, feed_files
from catalog_io.feeds.published import fashion_gen, food_101
from catalog_io.feeds.settings import FeedSettings
from schemas.errors import ConfigurationError, UserError


class Layout(NamedTuple):
    """`parts`: file below the source → split; `columns`: our column → the file's; `reader` opens one part."""

    parts: Mapping[str, str]
    columns: Mapping[str, str]
    reader: Callable[[FeedFile, str, FeedSettings, FeedColumns], FeedReader]


LAYOUTS = {
    "upmc-food-101": Layout(food_101.PARTS, food_101.COLUMNS, food_101.Food101Part),
    "fashion-gen": Layout(fashion_gen.PARTS, fashion_gen.COLUMNS, fashion_gen.FashionGenPart),
}


def with_layout(feed: FeedSettings) -> FeedSettings:
    """The feed with its layout's columns. ConfigurationError for an unknown layout, or settings that it rules out."""
    if feed.layout not in LAYOUTS:
        known = ", ".join(LAYOUTS)
        raise ConfigurationError(f"feeds.{feed.name}.layout: there is no layout {feed.layout!r}; there are {known}")
    for key in ("query", "delimiter", "image_separator"):
        if getattr(feed, key):
            raise ConfigurationError(f"feeds.{feed.name}.{key}: the layout {feed.layout} has none; remove it")
    return replace(feed, columns={**LAYOUTS[feed.layout].columns, **feed.columns})


def layout_parts(feed: FeedSettings, columns: FeedColumns) -> list[FeedReader]:
    """A reader for each file of a feed that has a layout. UserError names a file that is missing or wrong."""
    layout = LAYOUTS[feed.layout or ""]
    return [layout.reader(_file(feed, part), split, feed, columns) for part, split in layout.parts.items()]


def layout_of(folder: str) -> str | None:
    """The name of the layout whose files are in this folder; None where there are none."""
    for name, layout in LAYOUTS.items():
        if any(Path(folder, part).is_file() for part in layout.parts):
            return name
    return None


def _file(feed: FeedSettings, part: str) -> FeedFile:
    try:
        (file,) = feed_files(replace(feed, source=f"{feed.source.rstrip('/')}/{part}"))
    except ConfigurationError:
        raise
    except UserError as fault:
        parts = " and ".join(LAYOUTS[feed.layout or ""].parts)
        raise UserError(f"{fault}. The layout {feed.layout} has {parts} in its folder") from fault
    return file
