"""Reads CSV and TSV feeds row by row, so that a bad row does not affect its neighbours."""

import csv
from collections.abc import Iterator, Sequence

import polars as pl

from catalog_io.feeds.columns import FeedColumns, FeedShape, Unreadable
from catalog_io.feeds.files import FeedFile
from catalog_io.feeds.formats.text import EncodedFile, Lines, TooLongError, batches
from catalog_io.feeds.picture_cells import is_unicode
from catalog_io.feeds.settings import FeedSettings
from schemas.cells.invisible import visible
from schemas.errors import ConfigurationError, UserError

DELIMITERS = (",", ";", "\t", "|")


class DelimitedFile:
    """A CSV or TSV file with a header. Rows are parsed as Python's csv module does; blank lines are skipped."""

    def __init__(self, file: FeedFile, feed: FeedSettings, columns: FeedColumns | None, *, usual: str) -> None:
        self.file = EncodedFile(file, feed, guess=columns is None)
        self.columns = columns
        delimiter = feed.delimiter
        if delimiter and (len(delimiter) != 1 or delimiter in '\r\n"'):
            raise ConfigurationError(f"feeds.{feed.name}.delimiter: {delimiter!r} must be one character, such as ;")
        possible = (delimiter,) if delimiter else dict.fromkeys((usual, *DELIMITERS))
        headers = {delimiter: self._header(delimiter) for delimiter in possible}

        def fits(delimiter: str) -> tuple[bool, int]:
            header = headers[delimiter]
            return columns is not None and not columns.missing(header), 0 if columns else len(header)

        self.delimiter = max(possible, key=fits)  # the first of those that fit equally well
        self.names = headers[self.delimiter]
        self.shape = FeedShape(self.names, self.delimiter if self.delimiter != usual else None, self.file.guessed)
        if columns:
            columns.check(self.names, file.shown)

    def _header(self, delimiter: str) -> list[str]:
        header = next(csv_rows(Lines(self.file.beginning()), delimiter), None)
        if header is None:
            raise UserError(f"{self.file.path}: the file is empty; the first line must name the columns")
        if isinstance(header, Unreadable):
            raise UserError(
                f"{self.file.path}: the first line, which names the columns, cannot be read: {header.fault}"
            )
        if not is_unicode(header) or any("\0" in name for name in header):
            likely = self.file.likely_encoding() or "utf-8"
            raise UserError(
                f"{self.file.path}: the column names are not {self.file.shown} text; save the file as UTF-8, or set "
                f'feeds.{self.file.feed}.encoding, here perhaps to "{likely}"'
            )
        return [visible(name.strip()) for name in header]

    def frames(self, batch_rows: int) -> Iterator[pl.DataFrame]:
        assert self.columns is not None
        with self.file.lines(newline="") as lines:
            header = next(csv_rows(lines, self.delimiter), None)
            if not isinstance(header, list) or [visible(name.strip()) for name in header] != self.names:
                raise UserError(f"{self.file.path}: the file changed while it was being read; run this again")
            for rows in batches(csv_rows(lines, self.delimiter, len(header)), lines, batch_rows):
                cells, unreadable = csv_cells(rows, self.names, self.file)
                yield self.columns.frame(cells, as_json(cells), unreadable)


def csv_cells(
    rows: Sequence[list[str] | Unreadable], names: Sequence[str], file: EncodedFile
) -> tuple[pl.DataFrame, dict[int, Unreadable]]:
    """The rows as columns of text (null in unreadable rows), and the unreadable rows by index.

    Where several columns have one name, the last is taken.
    """
    bad = {index: row for index, row in enumerate(rows) if isinstance(row, Unreadable)}
    nothing = [None] * len(names)
    table = zip(*(nothing if isinstance(row, Unreadable) else row for row in rows), strict=True)
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
    return row if readable else Unreadable(row, f"not {file.shown} text")


def csv_rows(lines: Lines, delimiter: str, width: int | None = None) -> Iterator[list[str] | Unreadable]:
    """Yields rows of `width` cells (None: of any number); rows of another width are Unreadable."""
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        lines.next_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, TooLongError) as fault:  # the next row begins at the next line
            yield Unreadable([lines.give_back()], str(fault))
            continue
        if not cells:
            continue
        if len(lines.taken) + lines.at_end > 1 and not _closed(lines, delimiter):
            yield Unreadable([lines.give_back()], "a quoted cell is never closed")
        elif len(cells) != (width or len(cells)):
            yield Unreadable(cells, f"{len(cells)} cells where there are {width} columns")
        else:
            yield cells


def _closed(lines: Lines, delimiter: str) -> bool:
    """Whether the lines that were taken are one complete row: an unclosed quote takes lines up to the file's end."""
    try:
        return not lines.at_end and len(list(csv.reader(lines.taken, delimiter=delimiter, strict=True))) == 1
    except csv.Error:
        return False
