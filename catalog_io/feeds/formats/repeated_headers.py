"""Rejects headers between the rows of a file: it was appended to, or put together from several files."""

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from catalog_io.feeds.columns import Unreadable
from schemas.cells.invisible import visible

Row = list[str] | Unreadable
_AROUND = ' "\ufeff'  # what may stand around a name: a second file begins with its byte-order mark


class RepeatedHeaders:
    """Finds rows that are headers. `mapped` are the columns by which a header with others beside them is recognised."""

    def __init__(self, names: Sequence[str], mapped: Sequence[str]) -> None:
        self._beginnings = {form for name in names for form in (name, name.lower(), name.upper(), name.title()) if name}
        self._expected = [name.casefold() for name in names]
        self._needed = {name.casefold() for name in mapped}
        self._other = ""  # why rows are rejected after a header with other columns

    def may_be_in(self, cells: pl.DataFrame, unreadable: Mapping[int, Unreadable]) -> bool:
        """Whether rows (as columns of text, and the unreadable ones) must be checked one by one."""
        first = cells.to_series(0).alias("first")  # polars takes a name such as ^a$ for a pattern
        return (
            bool(self._other)
            or bool(first.str.strip_chars(_AROUND).is_in(list(self._beginnings)).any())
            or any(self._begins(row.content) for row in unreadable.values())
        )

    def checked(self, rows: Sequence[Row]) -> Iterator[Row]:
        """The rows; one that repeats the header is Unreadable, and so are those after a header with other columns,
        until the first header comes again."""
        for row in rows:
            cells = row if isinstance(row, list) else row.content
            if isinstance(cells, list) and self._begins(cells):
                found = [visible(cell).strip(_AROUND).casefold() for cell in cells]
                if found == self._expected:
                    self._other = ""
                    yield Unreadable(cells, "it repeats the header")
                    continue
                if self._needed <= {*found}:
                    self._other = (
                        f"it follows a header with other columns ({', '.join(cells)}): make two files of this one"
                    )
                    yield Unreadable(cells, "it is a header with other columns: make two files of this one")
                    continue
            yield Unreadable(cells, self._other) if self._other and isinstance(row, list) else row

    def _begins(self, cells: object) -> bool:
        return isinstance(cells, list) and len(cells) > 1 and str(cells[0]).strip(_AROUND) in self._beginnings
