"""Reads JSON feeds: line by line where each line is an object, so that a bad line does not affect its neighbours."""

import io
import json
import re
from collections.abc import Iterator
from typing import Any

import polars as pl

from catalog_io.feeds.columns import FeedColumns, FeedShape, Unreadable
from catalog_io.feeds.files import FeedFile
from catalog_io.feeds.formats.json_items import JsonItems
from catalog_io.feeds.formats.json_shape import DECODER, list_path, path_of_rows
from catalog_io.feeds.formats.text import EncodedFile, Lines, TooLongError, batches
from catalog_io.feeds.picture_cells import is_unicode
from catalog_io.feeds.settings import FeedSettings
from schemas.errors import UserError

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
Row = tuple[dict[str, Any], str] | Unreadable


class JsonLinesFile:
    """A file with one JSON object in each line, blank lines skipped; or an array, or an object with a list of them."""

    def __init__(self, file: FeedFile, feed: FeedSettings, columns: FeedColumns | None) -> None:
        self.file = EncodedFile(file, feed, guess=columns is None, suffix=".jsonl")
        self.columns = columns
        # Which keys are those of a row; unknown where only the shape is asked for.
        self.fits = (lambda keys: not columns.missing(keys)) if columns else None
        head, whole = self.file.beginning().read(), self.file.head_is_whole
        self.path = path_of_rows(head, file.shown, self.fits, whole=whole)
        names = self._names(head, whole)
        if columns and self.path is None and columns.missing(names):  # perhaps each line is a page of results
            first = next(
                (row[0] for row in self._rows(Lines(io.StringIO(head))) if not isinstance(row, Unreadable)), {}
            )
            if path := list_path(first, file.shown, self.fits):
                self.path = path
                names = self._names(head, whole)
        self.shape = FeedShape(names, encoding=self.file.guessed.encoding, doubt=self.file.guessed.doubt)
        if columns and names:
            columns.check(names, file.shown)

    def frames(self, batch_rows: int) -> Iterator[pl.DataFrame]:
        assert self.columns is not None
        if self.path is None:
            with self.file.lines(newline="\n") as lines:
                for rows in batches(self._rows(lines), lines, batch_rows):
                    yield self._frame(rows, self.columns)
            return
        with self.file.text() as text:
            items = JsonItems(text, self.file.path, self.path, self.fits)
            for rows in batches((self._row(*item) for item in items), items, batch_rows):
                yield self._frame(rows, self.columns)

    def _names(self, head: str, whole: bool) -> list[str]:
        """The keys of the rows in the head, since a row may leave keys out."""
        names: dict[str, None] = {}
        if self.path is None:
            for row in self._rows(Lines(io.StringIO(head, newline="\n"))):
                names |= dict.fromkeys(() if isinstance(row, Unreadable) else row[0])
            return list(names)
        try:
            for value, _ in JsonItems(io.StringIO(head), self.file.path, self.path, self.fits):
                names |= dict.fromkeys(value if isinstance(value, dict) else ())
        except UserError:
            if whole:
                raise
        return list(names)

    def _rows(self, lines: Lines) -> Iterator[Row]:
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

    def _parsed(self, line: str) -> Row:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as fault:
            return Unreadable(line, f"not JSON: {fault}" if is_unicode([line]) else self.file.undecoded)
        return self._row(row, line)

    def _row(self, row: Any, text: str) -> Row:
        """The row of a JSON value; `text` is its JSON."""
        if not is_unicode([text]):
            return Unreadable(text, self.file.undecoded)
        if not isinstance(row, dict):
            return Unreadable(text, "not a JSON object")
        if _SURROGATE.search(text) and not is_unicode([json.dumps(row, ensure_ascii=False)]):
            return Unreadable(text, "not Unicode text")
        if "NaN" in text or "Infinity" in text or "\n" in text:  # what JSON does not have, and what lines have not
            row = DECODER.decode(text)
            text = json.dumps(row, ensure_ascii=False)
        return row, text

    def _frame(self, rows: list[Row], columns: FeedColumns) -> pl.DataFrame:
        bad = {index: row for index, row in enumerate(rows) if isinstance(row, Unreadable)}
        pairs = [({}, None) if isinstance(row, Unreadable) else row for row in rows]
        return columns.frame_of_values([row for row, _ in pairs], [raw for _, raw in pairs], bad)
