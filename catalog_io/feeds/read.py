"""Reads a merchant's feed (text, Parquet, the rows of an SQL query) into frames of one shape; no cell is trusted."""

from collections.abc import Iterator, Sequence

import polars as pl

from catalog_io.feeds.columns import FeedColumns, FeedReader, FeedShape
from catalog_io.feeds.files import feed_files
from catalog_io.feeds.formats.sql import SqlQuery, is_database
from catalog_io.feeds.formats.table import open_feed_file
from catalog_io.feeds.published.layouts import layout_parts, with_layout
from catalog_io.feeds.settings import FeedSettings


def read_feed(feed: FeedSettings, *, batch_rows: int = 10_000) -> Iterator[pl.DataFrame]:
    """Yields frames of at most `batch_rows` rows. Each row of the feed is in exactly one, unreadable rows too.

    Columns: row_number (from 1, over the whole feed), listing_id, product_id, title, split where it is mapped (text),
    pictures (PICTURES, in order, never null), label_word_<attribute>, raw (the row as JSON without its bytes) and
    fault (null, or why the row cannot be read).

    All files and columns are checked before this returns: a UserError names the file, a ConfigurationError the
    setting. The iterator raises UserError where a file turns out to be damaged further on.
    """
    feed = with_layout(feed) if feed.layout else feed
    return _numbered(_readers(feed, FeedColumns.mapped(feed)), batch_rows)


def feed_shape(feed: FeedSettings) -> FeedShape:
    """The columns of a feed, of which only name, source and query are set; reads the beginning of its first file."""
    return _readers(feed, None)[0].shape


def _numbered(readers: Sequence[FeedReader], batch_rows: int) -> Iterator[pl.DataFrame]:
    row = 1
    for reader in readers:
        for frame in reader.frames(batch_rows):
            yield frame.select(pl.int_range(row, row + pl.len(), dtype=pl.Int64).alias("row_number"), pl.all())
            row += frame.height


def _readers(feed: FeedSettings, columns: FeedColumns | None) -> list[FeedReader]:
    if is_database(feed):
        return [SqlQuery(feed, columns)]
    if feed.layout and columns:
        return layout_parts(feed, columns)
    return [open_feed_file(file, feed, columns) for file in feed_files(feed)]
