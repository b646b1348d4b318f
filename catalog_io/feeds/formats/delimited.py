"""Reads CSV and TSV feeds row by row, so that a bad row does not affect its neighbours."""

from collections.abc import Iterator, Sequence

import polars as pl

from catalog_io.feeds.columns import FeedColumns, FeedShape, Unreadable
from catalog_io.feeds.files import FeedFile
from catalog_io.feeds.formats.csv_rows import BACKSLASH, Dialect, csv_rows, escapes_quotes
from catalog_io.feeds.formats.header import find_header, names_of
from catalog_io.feeds.formats.repeated_headers import RepeatedHeaders
from catalog_io.feeds.formats.text import EncodedFile, batches
from catalog_io.feeds.picture_cells import is_unicode
from catalog_io.feeds.settings import FeedSettings
from schemas.errors import UserError


class DelimitedFile:
    """A CSV or TSV file with a header. Rows are parsed as Python's csv module does; blank lines are skipped."""

    def __init__(self, file: FeedFile, feed: FeedSettings, columns: FeedColumns | None, *, usual: str) -> None:
        self.file = EncodedFile(file, feed, guess=columns is None, suffix=".csv")
        self.columns = columns
        self.header = find_header(self.file, feed, columns, usual)
        self.names = self.header.names
        delimiter, spaced = self.header.dialect.delimiter, self.header.dialect.spaced
        self.dialect = Dialect(delimiter, self._escape(feed), spaced=spaced)
        self.shape = FeedShape(
            self.names,
            delimiter if delimiter != usual else None,
            self.file.guessed.encoding,
            self.header.needs_line,
            self.file.guessed.doubt,
        )
        if columns:
            columns.check(self.names, file.shown)

    def _escape(self, feed: FeedSettings) -> str | None:
        if feed.escape is not None:
            return feed.escape
        if not self.file.head_has(BACKSLASH):
            return None
        lines = self.file.beginning().read().splitlines(keepends=True)
        return BACKSLASH if escapes_quotes(lines, self.header.dialect, len(self.names)) else None

    def frames(self, batch_rows: int) -> Iterator[pl.DataFrame]:
        assert self.columns is not None
        with self.file.lines(newline="") as lines:
            lines.skip(self.header.line)
            header = next(csv_rows(lines, self.header.dialect), None)
            if not isinstance(header, list) or names_of(header) != self.names:
                raise UserError(f"{self.file.path}: the file changed while it was being read; run this again")
            headers = RepeatedHeaders(self.names, self.columns.sources(self.names))
            for rows in batches(csv_rows(lines, self.dialect, len(header)), lines, batch_rows):
                cells, unreadable = csv_cells(rows, self.names, self.file)
                if headers.may_be_in(cells, unreadable):
                    cells, unreadable = csv_cells(list(headers.checked(rows)), self.names, self.file)
                yield self.columns.frame(cells, as_json(cells), unreadable)


def csv_cells(
    rows: Sequence[list[str] | Unreadable], names: Sequence[str], file: EncodedFile
) -> tuple[pl.DataFrame, dict[int, Unreadable]]:
    """The rows as columns of text (null in unreadable rows), and the unreadable rows by index.

    Where several columns have one name, the last is taken.
    """
    bad = {index: row for index, row in enumerate(rows) if isinstance(row, Unreadable)}
    nothing = [None] * len(names)
    readable = (nothing if isinstance(row, Unreadable) else row for row in rows) if bad else rows
    table = zip(*readable, strict=True)
    by_name = dict(zip(names, table, strict=True))
    try:
        return pl.DataFrame([pl.Series(name, column, dtype=pl.String) for name, column in by_name.items()]), bad
    except UnicodeEncodeError:
        return csv_cells([_decoded(row, file) for row in rows], names, file)


def as_json(cells: pl.DataFrame) -> pl.Series:
    """Each row as a JSON object."""
    return cells.select(pl.struct(pl.all()).struct.json_encode()).to_series()


def _decoded(row: list[str] | Unreadable, file: EncodedFile) -> list[str] | Unreadable:
    readable = isinstance(row, Unreadable) or is_unicode(row)
    return row if readable else Unreadable(row, file.undecoded)
