"""Published data sets: known files with known columns, read like a merchant's feed."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from catalog_io.feeds.columns import FeedColumns, SourceFile
from catalog_io.feeds.files import FeedFile, feed_files
from catalog_io.feeds.published import fashion_gen, food_101
from catalog_io.feeds.settings import FeedSettings
from schemas.errors import ConfigurationError, UserError


class Layout(NamedTuple):
    """`parts`: the files below the source, and the split of each; `columns`: which of theirs are which of ours."""

    parts: Mapping[str, str]
    columns: Mapping[str, str]
    opened: Callable[[FeedFile, str, FeedSettings, FeedColumns], SourceFile]


LAYOUTS = {
    "upmc-food-101": Layout(food_101.PARTS, food_101.COLUMNS, food_101.Food101Part),
    "fashion-gen": Layout(fashion_gen.PARTS, fashion_gen.COLUMNS, fashion_gen.FashionGenPart),
}


def with_layout(feed: FeedSettings) -> FeedSettings:
    """The feed with its layout's columns, where it names none itself. ConfigurationError where they do not fit."""
    if feed.layout not in LAYOUTS:
        known = ", ".join(LAYOUTS)
        raise ConfigurationError(f"feeds.{feed.name}.layout: there is no layout {feed.layout!r}; there are {known}")
    for key in ("query", "delimiter", "image_separator"):
        if getattr(feed, key):
            raise ConfigurationError(f"feeds.{feed.name}.{key}: the layout {feed.layout} has none; take it out")
    return replace(feed, columns={**LAYOUTS[feed.layout].columns, **feed.columns})


def layout_parts(feed: FeedSettings, columns: FeedColumns) -> list[SourceFile]:
    """The files of a feed that has a layout. UserError names the one that is missing or wrong."""
    layout = LAYOUTS[feed.layout or ""]
    return [layout.opened(_file(feed, part), split, feed, columns) for part, split in layout.parts.items()]


def layout_of(folder: str) -> str | None:
    """The layout to which files in this folder belong, if any."""
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
