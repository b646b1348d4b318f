"""Text feeds: CSV, TSV and JSON lines, read row by row, so that one bad row costs only itself."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

import polars as pl

from catalog_io.feed_columns import LABEL_WORD_PREFIX, FeedColumns
from schemas.errors import UserError

# JSON rows may leave keys out, so a column is only missing where no row of so many has it.
ROWS_TO_FIND_KEYS = 1000
RAW_CHARACTERS = 20_000  # of an unreadable row that are kept for the report

Opener = Callable[[], BinaryIO]


class Record(NamedTuple):
    """One row of a text feed: its cells by the feed's column names, or the fault that made it unreadable."""

    cells: Mapping[str, Any]
    raw: str
    fault: str | None = None


class DelimitedFile:
    """CSV or TSV with a header, in UTF-8; rows as Python's csv module reads them, blank lines are no rows."""

    def __init__(self, path: str, opener: Opener, columns: FeedColumns, delimiter: str) -> None:
        self.opener = opener
        self.columns = columns
        self.delimiter = delimiter
        with self._text() as text:
            header = next((cells for cells, fault in self._rows(text) if cells or fault), None)
        if not header:
            raise UserError(f"{path}: the file is empty; the first line must name the columns")
        if not _is_text(header):
            raise UserError(f"{path}: the column names are not UTF-8 text; save the file as UTF-8")
        self.header = [name.strip() for name in header]
        columns.check(self.header, path)
        if twice := [name for name in columns.theirs.values() if self.header.count(name) > 1]:
            raise UserError(f"{path}: the column {twice[0]!r} stands twice in the first line; rename one of them")

    def frames(self, batch_rows: int) -> Iterator[pl.DataFrame]:
        with self._text() as text:
            rows = ((cells, fault) for cells, fault in self._rows(text) if cells or fault)
            next(rows)  # the header
            yield from _frames((self._record(cells, fault) for cells, fault in rows), self.columns, batch_rows)

    def _text(self) -> io.TextIOWrapper:
        # Bytes that are not UTF-8 become surrogates, which `_is_text` finds in the one row that has them.
        return io.TextIOWrapper(self.opener(), encoding="utf-8-sig", errors="surrogateescape", newline="")

    def _rows(self, text: Iterable[str]) -> Iterator[tuple[list[str], str | None]]:
        lines: list[str] = []
        at_end = False

        def remembered() -> Iterator[str]:
            nonlocal at_end
            for line in text:
                lines.append(line)
                yield line
            at_end = True

        reader = csv.reader(remembered(), delimiter=self.delimiter)
        while True:
            lines.clear()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as fault:  # the reader goes on at the next line
                yield ["".join(lines)], str(fault)
                continue
            # Only a row that wanted another line meets the file's end.
            yield (["".join(lines)], "a quoted cell is never closed") if at_end else (cells, None)

    def _record(self, cells: list[str], fault: str | None) -> Record:
        if fault is None and len(cells) != len(self.header):
            fault = f"{len(cells)} cells where the first line has {len(self.header)}"
        if fault is None and not _is_text(cells):
            fault = "not UTF-8 text"
        if fault is not None:
            return Record({}, _json(cells), fault)
        row = dict(zip(self.header, cells, strict=True))
        return Record(row, _json(row))


class JsonLinesFile:
    """One JSON object a line, in UTF-8; blank lines are no rows."""

    def __init__(self, path: str, opener: Opener, columns: FeedColumns) -> None:
        self.opener = opener
        self.columns = columns
        rows = islice((record for record in self._records() if record.fault is None), ROWS_TO_FIND_KEYS)
        there = dict.fromkeys(key for record in rows for key in record.cells)
        if there:
            columns.check(there, path)

    def frames(self, batch_rows: int) -> Iterator[pl.DataFrame]:
        return _frames(self._records(), self.columns, batch_rows)

    def _records(self) -> Iterator[Record]:
        with self.opener() as stream:
            for number, line in enumerate(stream):
                line = line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line
                if line.strip():
                    yield _parsed(line)


def _parsed(line: bytes) -> Record:
    shown = _json(line.decode("utf-8", "backslashreplace").strip())
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        return Record({}, shown, "not UTF-8 text")
    except (ValueError, RecursionError) as fault:
        return Record({}, shown, f"not JSON: {fault}")
    if not isinstance(row, dict):
        return Record({}, shown, "not a JSON object")
    raw = json.dumps(row, ensure_ascii=False)
    if not _is_text([raw]):  # half of a surrogate pair, written as \ud83d
        return Record({}, shown, "not Unicode text")
    return Record(row, raw)


def _frames(records: Iterable[Record], columns: FeedColumns, batch_rows: int) -> Iterator[pl.DataFrame]:
    records = iter(records)
    while batch := list(islice(records, batch_rows)):
        data: dict[str, list[Any]] = {
            ours: [_cell(record.cells.get(theirs)) for record in batch] for ours, theirs in columns.theirs.items()
        }
        data["picture"] = [None] * len(batch)
        data["raw"] = [record.raw for record in batch]
        data["fault"] = [record.fault for record in batch]
        frame = pl.DataFrame(data, schema=columns.schema)
        yield blank_words_to_null(frame)


def blank_words_to_null(frame: pl.DataFrame) -> pl.DataFrame:
    """An empty label cell is no label."""
    words = pl.col(f"^{LABEL_WORD_PREFIX}.*$").str.strip_chars()
    return frame.with_columns(words.replace("", None))


def _cell(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_text(cells: Iterable[str]) -> bool:
    try:
        return all(cell.isascii() or cell.encode() for cell in cells)
    except UnicodeEncodeError:
        return False


def _json(value: object) -> str:
    """JSON text that any store can hold: what is not Unicode is written as an escape."""
    raw = json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
    return raw if len(raw) <= RAW_CHARACTERS else json.dumps(raw[:RAW_CHARACTERS])
