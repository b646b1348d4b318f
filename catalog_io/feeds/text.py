"""Text feeds: CSV, TSV and JSON lines, read row by row, so that one bad row costs only itself."""

import codecs
import csv
import io
import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, BinaryIO, TextIO, TypeVar

import polars as pl

from catalog_io.feeds.columns import BATCH_BYTES, FeedColumns, Unreadable, is_unicode
from schemas.errors import ConfigurationError, UserError

DELIMITERS = (",", ";", "\t", "|")
HEAD_BYTES = 4_000_000  # of a file that are looked at before any row is read, for its encoding and columns
LONGEST_ROW = 10_000_000  # characters; what is longer is an unreadable row, and is never in memory as a whole
MOST_READ_TWICE = 100_000_000  # characters of one file that may be read again after a quote that is never closed

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")

_DECODER = json.JSONDecoder(parse_constant=lambda _: None)

Row = TypeVar("Row")
Opener = Callable[[], AbstractContextManager[BinaryIO]]


def _as_half_pairs(fault: UnicodeError) -> tuple[str, int]:
    """Like surrogateescape, which UTF-16 cannot use: `is_unicode` finds the row that has such bytes."""
    assert isinstance(fault, UnicodeDecodeError)
    return "".join(chr(0xDC00 + byte) for byte in fault.object[fault.start : fault.end]), fault.end


codecs.register_error("cma.half_pairs", _as_half_pairs)


class TooLongError(Exception):
    """A row of more than LONGEST_ROW characters."""


class EncodedFile:
    """A file of text. Its encoding is the setting, else what a byte-order mark says, else UTF-8 (or a `guess`)."""

    def __init__(self, path: str, opener: Opener, encoding: str | None, feed: str, *, guess: bool = False) -> None:
        self.path = path
        self.feed = feed
        self._opener = opener
        with opener() as stream:
            self._head = stream.read(HEAD_BYTES)
        self.guessed = self._guessed_encoding() if guess and not encoding else None
        encoding = encoding or self.guessed
        mark = next((codec for mark, codec in _MARKS if self._head.startswith(mark)), None)
        try:
            named = codecs.lookup(encoding or "utf-8").name
            self.codec = mark if mark and named.startswith("utf") else named
            self.beginning().read(1)
        except (LookupError, ValueError) as fault:
            raise ConfigurationError(
                f"feeds.{feed}.encoding: {encoding!r} is not an encoding that we know: {fault}; "
                'set one such as "utf-8", "utf-16" or "windows-1252"'
            ) from fault

    def beginning(self) -> TextIO:
        return self._decoded(io.BytesIO(self._head), "")

    @contextmanager
    def lines(self, newline: str) -> Iterator["Lines"]:
        """All lines. Bytes that are not of the encoding become halves of surrogate pairs."""
        self._head = b""
        with self._opener() as stream:
            yield Lines(self._decoded(stream, newline))

    def _guessed_encoding(self) -> str | None:
        """The setting that this file seems to need; None, where it needs none."""
        if any(self._head.startswith(mark) for mark, _ in _MARKS):
            return None
        if 10 * self._head.count(0) > len(self._head) > 0:
            return "utf-16-le" if self._head[1::2].count(0) > self._head[::2].count(0) else "utf-16-be"
        try:
            codecs.getincrementaldecoder("utf-8")().decode(self._head)
        except UnicodeDecodeError:
            return "windows-1252"
        return None

    @property
    def likely_encoding(self) -> str:
        return self._guessed_encoding() or "utf-8"

    @property
    def shown(self) -> str:
        return self.codec.removesuffix("-sig").upper()

    def _decoded(self, stream: BinaryIO, newline: str) -> TextIO:
        return io.TextIOWrapper(stream, encoding=self.codec, errors="cma.half_pairs", newline=newline)


class Lines:
    """Iterates over lines for a reader that takes as many as a row has. Those of the row at hand are `taken`."""

    def __init__(self, text: TextIO) -> None:
        self._readline = text.readline
        self._again: deque[str] = deque()
        self._may_read_twice = MOST_READ_TWICE
        self.taken: list[str] = []
        self.characters = 0  # of all rows
        self._row_began = 0
        self.at_end = False

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._readline(LONGEST_ROW)
        if not line:
            self.at_end = True
            raise StopIteration
        self.taken.append(line)
        self.characters += len(line)
        if self.characters - self._row_began >= LONGEST_ROW:
            self.taken[-1] = line.rstrip("\r\n") + "\n"  # whole, should it be read again
            while line and line[-1] not in "\r\n":
                line = self._readline(LONGEST_ROW)
            raise TooLongError(f"more than {LONGEST_ROW:,} characters")
        return line

    def next_row(self) -> None:
        self.taken.clear()
        self._row_began = self.characters
        self.at_end = False

    def give_back(self) -> str:
        """Lets all lines of the row but its first be read again, and returns what remains of the row."""
        later = self.taken[1:]
        size = sum(map(len, later))
        if size > self._may_read_twice:
            return "".join(self.taken)
        self._may_read_twice -= size
        self._again.extendleft(reversed(later))
        return self.taken[0]


class DelimitedFile:
    """CSV or TSV with a header; rows as Python's csv module reads them, blank lines are no rows."""

    def __init__(self, file: EncodedFile, columns: FeedColumns | None, delimiter: str | None, usual: str) -> None:
        self.file = file
        self.columns = columns
        self.usual = usual
        if delimiter and (len(delimiter) != 1 or delimiter in '\r\n"'):
            raise ConfigurationError(f"feeds.{file.feed}.delimiter: {delimiter!r} must be one character, such as ;")
        possible = (delimiter,) if delimiter else dict.fromkeys((usual, *DELIMITERS))
        headers = {delimiter: self._header(delimiter) for delimiter in possible}
        wanted = columns.names if columns else []

        def fits(delimiter: str) -> tuple[bool, int]:
            header = headers[delimiter]
            return bool(wanted) and set(wanted) <= set(header), 0 if wanted else len(header)

        self.delimiter = max(possible, key=fits)  # the first, where several fit as well
        self.names = headers[self.delimiter]
        if columns:
            columns.check(self.names, file.path)

    def _header(self, delimiter: str) -> list[str]:
        header = next(_rows(Lines(self.file.beginning()), delimiter), None)
        if header is None:
            raise UserError(f"{self.file.path}: the file is empty; the first line must name the columns")
        if isinstance(header, Unreadable):
            raise UserError(
                f"{self.file.path}: the first line, which names the columns, cannot be read: {header.fault}"
            )
        if not is_unicode(header) or any("\0" in name for name in header):
            raise UserError(
                f"{self.file.path}: the column names are not {self.file.shown} text; save the file as UTF-8, or set "
                f'feeds.{self.file.feed}.encoding, here perhaps to "{self.file.likely_encoding}"'
            )
        return [name.strip() for name in header]

    def frames(self, batch_rows: int) -> Iterator[pl.DataFrame]:
        assert self.columns is not None
        with self.file.lines(newline="") as lines:
            header = next(_rows(lines, self.delimiter), None)
            if not isinstance(header, list) or [name.strip() for name in header] != self.names:
                raise UserError(f"{self.file.path}: the file changed while it was being read; run this again")
            for rows in _batches(_rows(lines, self.delimiter, len(header)), lines, batch_rows):
                yield self._frame(rows, self.columns)

    def _frame(self, rows: list[list[str] | Unreadable], columns: FeedColumns) -> pl.DataFrame:
        bad = {index: row for index, row in enumerate(rows) if isinstance(row, Unreadable)}
        nothing = [None] * len(self.names)
        table = zip(*(nothing if isinstance(row, Unreadable) else row for row in rows), strict=True)
        by_name = dict(zip(self.names, table, strict=True))  # of unmapped columns with one name, the last
        try:
            cells = pl.DataFrame([pl.Series(name, column, dtype=pl.String) for name, column in by_name.items()])
        except UnicodeEncodeError:
            return self._frame([self._checked(row) for row in rows], columns)
        return columns.frame(cells, cells.select(pl.struct(pl.all()).struct.json_encode()).to_series(), bad)

    def _checked(self, row: list[str] | Unreadable) -> list[str] | Unreadable:
        readable = isinstance(row, Unreadable) or is_unicode(row)
        return row if readable else Unreadable(row, f"not {self.file.shown} text")


class JsonLinesFile:
    """One JSON object a line; blank lines are no rows."""

    def __init__(self, file: EncodedFile, columns: FeedColumns | None) -> None:
        self.file = file
        self.columns = columns
        with file.beginning() as text:
            rows = self._rows(Lines(text))
            # Rows may leave keys out, so a column is only missing where no row at the beginning has it.
            self.names = list(dict.fromkeys(key for row in rows if not isinstance(row, Unreadable) for key in row[0]))
        if columns and self.names:
            columns.check(self.names, file.path)

    def frames(self, batch_rows: int) -> Iterator[pl.DataFrame]:
        assert self.columns is not None
        with self.file.lines(newline="\n") as lines:
            for rows in _batches(self._rows(lines), lines, batch_rows):
                yield self._frame(rows, self.columns)

    def _rows(self, lines: Lines) -> Iterator[tuple[dict[str, Any], str] | Unreadable]:
        while True:
            lines.next_row()
            try:
                line = next(lines)
            except StopIteration:
                return
            except TooLongError as fault:
                yield Unreadable(lines.taken[0], str(fault))
                continue
            if line := line.strip(" \t\r\n"):
                yield self._parsed(line)

    def _parsed(self, line: str) -> tuple[dict[str, Any], str] | Unreadable:
        if not is_unicode([line]):
            return Unreadable(line, f"not {self.file.shown} text")
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as fault:
            return Unreadable(line, f"not JSON: {fault}")
        if not isinstance(row, dict):
            return Unreadable(line, "not a JSON object")
        if _HALF_PAIR.search(line) and not is_unicode([json.dumps(row, ensure_ascii=False)]):
            return Unreadable(line, "not Unicode text")
        if "NaN" in line or "Infinity" in line:  # how pandas writes what is missing; it is not JSON
            row = _DECODER.decode(line)
            line = json.dumps(row, ensure_ascii=False)
        return row, line

    def _frame(self, rows: list[tuple[dict[str, Any], str] | Unreadable], columns: FeedColumns) -> pl.DataFrame:
        bad = {index: row for index, row in enumerate(rows) if isinstance(row, Unreadable)}
        pairs = [({}, None) if isinstance(row, Unreadable) else row for row in rows]
        return columns.frame_of_values([row for row, _ in pairs], [raw for _, raw in pairs], bad)


def _rows(lines: Lines, delimiter: str, width: int | None = None) -> Iterator[list[str] | Unreadable]:
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        lines.next_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, TooLongError) as fault:  # the reader goes on at the next line
            yield Unreadable([lines.give_back()], str(fault))
            continue
        if not cells:
            continue
        if len(lines.taken) + lines.at_end > 1 and not _closed(lines, delimiter):
            yield Unreadable([lines.give_back()], "a quoted cell is never closed")
        elif len(cells) != (width or len(cells)):
            yield Unreadable(cells, f"{len(cells)} cells where the first line has {width}")
        else:
            yield cells


def _closed(lines: Lines, delimiter: str) -> bool:
    """Whether a row of several lines is one: only a row that wanted another line meets the file's end."""
    try:
        return not lines.at_end and len(list(csv.reader(lines.taken, delimiter=delimiter, strict=True))) == 1
    except csv.Error:
        return False


def _batches(rows: Iterable[Row], lines: Lines, batch_rows: int) -> Iterator[list[Row]]:
    """Lists of at most `batch_rows` rows and about BATCH_BYTES characters."""
    batch: list[Row] = []
    end = BATCH_BYTES
    for row in rows:
        batch.append(row)
        if len(batch) == batch_rows or lines.characters > end:
            yield batch
            batch, end = [], lines.characters + BATCH_BYTES
    if batch:
        yield batch
