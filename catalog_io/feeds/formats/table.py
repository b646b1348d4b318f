"""The file formats of feeds: a new format is a reader in a file of its own and a line here."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from catalog_io.feeds.columns import FeedColumns, FeedReader
from catalog_io.feeds.files import FeedFile
from catalog_io.feeds.formats.delimited import DelimitedFile
from catalog_io.feeds.formats.json_lines import JsonLinesFile
from catalog_io.feeds.formats.kinds import kind_of, refuse_other_kinds
from catalog_io.feeds.formats.parquet import ParquetFile
from catalog_io.feeds.formats.text import HEAD_BYTES
from catalog_io.feeds.formats.xml import XmlFile
from catalog_io.feeds.settings import FeedSettings
from catalog_io.feeds.unpacking import is_text
from schemas.errors import UserError


class Format(NamedTuple):
    """A reader, the media types by which web addresses without a suffix name it, and whether files may be compressed.

    The reader takes the file, the feed's settings, and the mapped columns (None: only the shape is asked for).
    """

    reader: Callable[[FeedFile, FeedSettings, FeedColumns | None], FeedReader]
    media_types: tuple[str, ...] = ()
    may_be_compressed: bool = True


FORMATS = {
    ".csv": Format(partial(DelimitedFile, usual=","), ("text/csv",)),
    ".tsv": Format(partial(DelimitedFile, usual="\t"), ("text/tab-separated-values",)),
    ".txt": Format(partial(DelimitedFile, usual="\t"), ("text/plain",)),
    ".jsonl": Format(JsonLinesFile, ("application/jsonl", "application/x-ndjson")),
    ".ndjson": Format(JsonLinesFile),
    ".json": Format(JsonLinesFile, ("application/json",)),
    ".xml": Format(XmlFile, ("application/xml", "text/xml", "application/rss+xml", "application/atom+xml")),
    ".rss": Format(XmlFile),
    ".atom": Format(XmlFile),
    ".parquet": Format(ParquetFile, ("application/vnd.apache.parquet",), may_be_compressed=False),
    ".pq": Format(ParquetFile, may_be_compressed=False),
}


def open_feed_file(file: FeedFile, feed: FeedSettings, columns: FeedColumns | None) -> FeedReader:
    """The reader of one file of a feed. UserError for a format that is not in the table."""
    suffix = file.suffix
    if not suffix or (file.is_web and suffix not in FORMATS):  # an address may end in .php
        by_media_type = next((name for name, known in FORMATS.items() if file.media_type in known.media_types), "")
        suffix = by_media_type or _suffix_by_bytes(file) or suffix
    known = FORMATS.get(suffix)
    if known is None or (file.compression and not known.may_be_compressed):
        _suffix_by_bytes(file)
        plain = ", ".join(name for name, known in FORMATS.items() if not known.may_be_compressed)
        either = ", ".join(name for name, known in FORMATS.items() if known.may_be_compressed)
        raise UserError(
            f"{file.shown}: a feed cannot be {suffix or 'a file without a suffix'}; convert it to {either} (each also "
            f".gz, .zst, .bz2 or .xz) or {plain}, or correct feeds.{feed.name}.source"
        )
    return known.reader(file, feed, columns)


def _suffix_by_bytes(file: FeedFile) -> str:
    """The suffix that a file should have by its first bytes; empty where they do not show it. UserError names a kind of
    file that cannot be read."""
    with file.stream() as stream:
        head = stream.read(HEAD_BYTES)
    refuse_other_kinds(head, file.shown)
    kind = kind_of(head)
    return kind.suffix if kind else ".csv" if is_text(head) else ""
