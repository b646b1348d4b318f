"""Reads XML product feeds: RSS and Atom as for Google Merchant, and lists of products or offers."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import polars as pl

from catalog_io.feeds.columns import BATCH_BYTES, FeedColumns, FeedShape, Unreadable
from catalog_io.feeds.files import FeedFile
from catalog_io.feeds.formats.kinds import refuse_other_kinds
from catalog_io.feeds.formats.text import HEAD_BYTES
from catalog_io.feeds.formats.xml_rows import ROW_ELEMENTS, XmlRows
from catalog_io.feeds.raw_rows import json_text
from catalog_io.feeds.settings import FeedSettings
from schemas.errors import UserError

_PIECE = 1 << 18
Row = dict[str, Any] | Unreadable


class XmlFile:
    """An XML file whose items are rows. A column is an element's name, with or without its prefix: g:id or id."""

    def __init__(self, file: FeedFile, feed: FeedSettings, columns: FeedColumns | None) -> None:
        self.file = file
        self.encoding = feed.encoding
        self.columns = columns
        with file.stream() as stream:
            head = stream.read(HEAD_BYTES)
        refuse_other_kinds(head, file.shown, ".xml")
        rows = XmlRows(file.shown, self.encoding).parse(head, last=len(head) < HEAD_BYTES)
        # A row may leave elements out: a column is missing only where no row at the beginning has it.
        names = list(dict.fromkeys(chain.from_iterable(row for row in rows if isinstance(row, dict))))
        if not names:
            elements = ", ".join(f"<{name}>" for name in ROW_ELEMENTS)
            raise UserError(f"{file.shown}: the XML has no products; those are elements called {elements}")
        self.shape = FeedShape(names)
        wanted = columns.names if columns else []
        self.prefixed = {name: bare for name in wanted if (bare := name.rpartition(":")[2]) != name and bare in names}
        if columns:
            columns.check([*names, *self.prefixed], file.shown)

    def frames(self, batch_rows: int) -> Iterator[pl.DataFrame]:
        assert self.columns is not None
        parser = XmlRows(self.file.shown, self.encoding)
        rows: list[Row] = []
        size = 0
        with self.file.stream() as stream:
            while data := stream.read(_PIECE):
                rows += parser.parse(data, last=False)
                size += len(data)
                while len(rows) >= batch_rows or (rows and size > BATCH_BYTES):
                    yield self._frame(rows[:batch_rows], self.columns)
                    rows, size = rows[batch_rows:], 0
            rows += parser.parse(b"", last=True)
        for first in range(0, len(rows), batch_rows):
            yield self._frame(rows[first : first + batch_rows], self.columns)

    def _frame(self, rows: list[Row], columns: FeedColumns) -> pl.DataFrame:
        bad = {index: row for index, row in enumerate(rows) if isinstance(row, Unreadable)}
        good = [{} if isinstance(row, Unreadable) else row for row in rows]
        raws = [json_text(row) for row in good]
        if self.prefixed:
            good = [{**row, **{name: row.get(bare) for name, bare in self.prefixed.items()}} for row in good]
        return columns.frame_of_values(good, raws, bad)
