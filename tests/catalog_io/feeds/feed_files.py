"""Writes feed files, and reads them as one frame."""

import codecs
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from catalog_io.feeds.columns import PICTURES
from catalog_io.feeds.read import read_feed
from catalog_io.feeds.settings import FeedSettings

COLUMNS = {"listing_id": "id", "title": "name", "image": "pic"}
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"]
# The byte-order marks that Python's codecs of these names do not write.
MARKS = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE, "utf-32-be": codecs.BOM_UTF32_BE}


def feed(source: Path | str, labels: Mapping[str, Any] | None = None, **settings: Any) -> FeedSettings:
    columns = {**COLUMNS, **settings.pop("columns", {})}
    return FeedSettings("hm", str(source), columns, labels or {}, **settings)


def read(source: Path | str, labels: Mapping[str, Any] | None = None, **settings: Any) -> pl.DataFrame:
    frames = list(read_feed(feed(source, labels, **settings)))
    assert all(frame["pictures"].dtype == PICTURES for frame in frames)
    return pl.concat(frames)


def uris(frame: pl.DataFrame) -> list[list[str]]:
    assert frame["pictures"].null_count() == 0
    return [[picture["uri"] for picture in row] for row in frame["pictures"]]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
