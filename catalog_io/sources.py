"""Reads a merchant's feed (CSV, TSV, JSON lines, Parquet) into frames of one shape. Nothing is trusted."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Protocol

import fsspec
import polars as pl

from catalog_io.feed_columns import FeedColumns
from catalog_io.source_parquet import ParquetFile
from catalog_io.source_text import DelimitedFile, JsonLinesFile
from schemas.errors import ConfigurationError, UserError

REQUIRED = ("listing_id", "title", "image")


class SourceFile(Protocol):
    """One file of a feed, checked when it is opened: a fault of the whole file is raised there."""

    def frames(self, batch_rows: int) -> Iterator[pl.DataFrame]:
        """The feed's columns without row_number."""


def read_feed(
    source: str, columns: Mapping[str, str], labels: Mapping[str, str], *, feed: str, batch_rows: int = 10_000
) -> Iterator[pl.DataFrame]:
    """Yields frames of at most `batch_rows` rows; each row of the feed is in one, unreadable ones too.

    `source` is a path, glob or fsspec URI; `columns` maps listing_id, title, image (and product_id) to the
    feed's columns, `labels` attributes to them. Frames have row_number (1-based over the feed), listing_id,
    product_id, title, image (text), picture (embedded bytes or null), label_word_<attribute>, raw (the row as
    JSON) and fault (null, or why the row cannot be read). All files are checked before this returns: a
    UserError names the file.
    """
    if missing := [name for name in REQUIRED if name not in columns]:
        raise ConfigurationError(f"feeds.{feed}.columns: {', '.join(missing)} is not mapped to a column of the feed")
    if unknown := columns.keys() - {*REQUIRED, "product_id"}:
        raise ConfigurationError(f"feeds.{feed}.columns: there is no {', '.join(sorted(unknown))} to map")
    mapped = FeedColumns.of(columns, labels)
    files = [_opened(filesystem, path, mapped, feed) for filesystem, path in _matching(source, feed)]
    return _numbered(files, batch_rows)


def _numbered(files: Sequence[SourceFile], batch_rows: int) -> Iterator[pl.DataFrame]:
    row = 1
    for file in files:
        for frame in file.frames(batch_rows):
            yield frame.select(pl.int_range(row, row + pl.len(), dtype=pl.Int64).alias("row_number"), pl.all())
            row += frame.height


def _matching(source: str, feed: str) -> list[tuple[Any, str]]:
    try:
        filesystem, path = fsspec.core.url_to_fs(source)
        # A name that exists is meant as it stands, also with a [ in it.
        paths = [path] if filesystem.isfile(path) else sorted(p for p in filesystem.glob(path) if filesystem.isfile(p))
    except (OSError, ValueError, ImportError) as fault:
        raise UserError(f"feeds.{feed}.source: {source} cannot be opened: {fault}") from fault
    if not paths:
        raise UserError(f"feeds.{feed}.source: there is no file {source}; correct the path in cma.toml")
    return [(filesystem, path) for path in paths]


def _opened(filesystem: Any, path: str, mapped: FeedColumns, feed: str) -> SourceFile:
    def opener() -> Any:
        try:
            return filesystem.open(path, "rb")
        except OSError as fault:
            raise UserError(f"{path}: cannot be read: {fault}") from fault

    match PurePosixPath(path).suffix.lower():
        case ".csv":
            return DelimitedFile(path, opener, mapped, ",")
        case ".tsv":
            return DelimitedFile(path, opener, mapped, "\t")
        case ".jsonl" | ".ndjson":
            return JsonLinesFile(path, opener, mapped)
        case ".parquet":
            return ParquetFile(path, opener, mapped)
        case other:
            raise UserError(
                f"{path}: a feed cannot be {other or 'a file without an ending'}; "
                f"convert it to .csv, .tsv, .jsonl or .parquet, or correct feeds.{feed}.source"
            )
