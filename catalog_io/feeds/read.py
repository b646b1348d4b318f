"""Reads a merchant's feed (text, Parquet, a database's answer) into frames of one shape. Nothing is trusted."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import polars as pl

from catalog_io.feeds.columns import FeedColumns, SourceFile
from catalog_io.feeds.files import FeedFile, feed_files
from catalog_io.feeds.formats.delimited import DelimitedFile
from catalog_io.feeds.formats.json_lines import JsonLinesFile
from catalog_io.feeds.formats.parquet import ParquetFile
from catalog_io.feeds.formats.sql import SqlQuery, is_database
from catalog_io.feeds.formats.text import EncodedFile
from catalog_io.feeds.published.layouts import layout_parts, with_layout
from catalog_io.feeds.settings import FeedSettings
from schemas.errors import UserError

__all__ = ["FeedShape", "feed_columns", "feed_shape", "read_feed"]

_USUAL_DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}


class FeedShape(NamedTuple):
    """A feed's columns, and the settings without which it cannot be read (None: none is needed)."""

    columns: list[str]
    delimiter: str | None
    encoding: str | None


def read_feed(feed: FeedSettings, *, batch_rows: int = 10_000) -> Iterator[pl.DataFrame]:
    """Yields frames of at most `batch_rows` rows; each row of the feed is in one, unreadable ones too.

    Frames have row_number (1-based over the feed), listing_id, product_id, title, split where it is mapped (text),
    pictures (PICTURES, in order, never null), label_word_<attribute>, raw (the row as JSON without its bytes) and
    fault (null, or why the row cannot be read). All files and columns are checked before this returns: a UserError
    names the file, a ConfigurationError the setting. A UserError is also raised later, where a file turns out to be
    damaged.
    """
    feed = with_layout(feed) if feed.layout else feed
    return _numbered(_parts(feed, FeedColumns.of(feed)), batch_rows)


def feed_shape(feed: FeedSettings) -> FeedShape:
    """What a feed, of which only name, source and query are set, looks like; reads no more than its beginning."""
    first = _parts(feed, None)[0]
    if not isinstance(first, DelimitedFile | JsonLinesFile):
        return FeedShape(first.names, None, None)
    delimiter = first.delimiter if isinstance(first, DelimitedFile) and first.delimiter != first.usual else None
    return FeedShape(first.names, delimiter, first.file.guessed)


def feed_columns(source: str, *, query: str | None = None, name: str = "feed") -> list[str]:
    """The names of a feed's columns; UserError where it cannot be read."""
    return feed_shape(FeedSettings(name, source, {}, {}, query=query)).columns


def _numbered(parts: Sequence[SourceFile], batch_rows: int) -> Iterator[pl.DataFrame]:
    row = 1
    for part in parts:
        for frame in part.frames(batch_rows):
            yield frame.select(pl.int_range(row, row + pl.len(), dtype=pl.Int64).alias("row_number"), pl.all())
            row += frame.height


def _parts(feed: FeedSettings, columns: FeedColumns | None) -> list[SourceFile]:
    if is_database(feed):
        return [SqlQuery(feed, columns)]
    if feed.layout and columns:
        return layout_parts(feed, columns)
    return [_opened(file, feed, columns) for file in feed_files(feed)]


def _opened(file: FeedFile, feed: FeedSettings, columns: FeedColumns | None) -> SourceFile:
    guess = columns is None
    match file.ending:
        case ".csv" | ".tsv" | ".txt" as ending:
            text = EncodedFile(file.shown, file.stream, feed.encoding, feed.name, guess=guess)
            return DelimitedFile(text, columns, feed.delimiter, _USUAL_DELIMITERS[ending])
        case ".jsonl" | ".ndjson":
            return JsonLinesFile(EncodedFile(file.shown, file.stream, feed.encoding, feed.name, guess=guess), columns)
        case ".parquet" | ".pq" if not file.compression:
            return ParquetFile(file.shown, file.seekable, columns)
        case other:
            raise UserError(
                f"{file.shown}: a feed cannot be {other or 'a file without an ending'}; convert it to .csv, .tsv, "
                f".jsonl (each also .gz, .zst, .bz2 or .xz) or .parquet, or correct feeds.{feed.name}.source"
            )
