"""Reads JSON-lines feeds line by line, so that a bad line does not affect its neighbours."""

import json
import re
from collections.abc import Iterator
from typing import Any

import polars as pl

from catalog_io.feeds.columns import FeedColumns, FeedShape, Unreadable
from catalog_io.feeds.files import FeedFile
from catalog_io.feeds.formats.text import EncodedFile, Lines, TooLongError, batches
from catalog_io.feeds.picture_cells import is_unicode
from catalog_io.feeds.settings import FeedSettings

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_DECODER = json.JSONDecoder(parse_constant=lambda _: None)


class JsonLinesFile:
    """A file with one JSON object in each line; blank lines are skipped."""

    def __init__(self, file: FeedFile, feed: FeedSettings, columns: FeedColumns | None) -> None:
        self.file = EncodedFile(file, feed, guess=columns is None, suffix=".jsonl")
        self.columns = columns
        with self.file.beginning() as text:
            rows = self._rows(Lines(text))
            # A row may leave keys out: a column is missing only where no row at the beginning has it.
            names = list(dict.fromkeys(key for row in rows if not isinstance(row, Unreadable) for key in row[0]))
        self.shape = FeedShape(names, encoding=self.file.guessed)
        if columns and names:
            columns.check(names, file.shown)

    def frames(self, batch_rows: int) -> Iterator[pl.DataFrame]:
        assert self.columns is not None
        with self.file.lines(newline="\n") as lines:
            for rows in batches(self._rows(lines), lines, batch_rows):
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
        if _SURROGATE.search(line) and not is_unicode([json.dumps(row, ensure_ascii=False)]):
            return Unreadable(line, "not Unicode text")
        if "NaN" in line or "Infinity" in line:  # which pandas writes for missing numbers, and JSON does not have
            row = _DECODER.decode(line)
            line = json.dumps(row, ensure_ascii=False)
        return row, line

    def _frame(self, rows: list[tuple[dict[str, Any], str] | Unreadable], columns: FeedColumns) -> pl.DataFrame:
        bad = {index: row for index, row in enumerate(rows) if isinstance(row, Unreadable)}
        pairs = [({}, None) if isinstance(row, Unreadable) else row for row in rows]
        return columns.frame_of_values([row for row, _ in pairs], [raw for _, raw in pairs], bad)
