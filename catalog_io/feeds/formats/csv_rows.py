"""Parses lines of CSV into rows, so that a bad row does not affect its neighbours."""

import csv
import re
from collections.abc import Iterable, Iterator
from typing import Any

from catalog_io.feeds.columns import Unreadable
from catalog_io.feeds.formats.text import LONGEST_ROW, Lines, TooLongError

csv.field_size_limit(LONGEST_ROW)  # `Lines` has the limit of a row; csv's own is 128 KiB a cell
BACKSLASH = "\\"


class Dialect:
    """How cells are written. `escape` stands before quotes within quotes, as databases write them; without it, quotes
    are doubled. Before any other character `escape` means itself. `spaced`: quotes may follow spaces at the beginning
    of a cell."""

    def __init__(self, delimiter: str, escape: str | None = None, *, spaced: bool = False) -> None:
        self.delimiter = delimiter
        self.spaced = spaced
        self.escape = escape or None
        self._pair = re.compile(re.escape(escape) + "(.)", re.DOTALL) if escape else None
        self._escaped = f'{delimiter}{escape}"\r\n'
        self.suspect = f'{escape or BACKSLASH}"'  # an escaped quote, which may be read wrongly without an error

    def parser(self, lines: Iterable[str], *, strict: bool = False) -> Iterator[list[str]]:
        """The rows of the lines, as Python's csv module parses them."""
        source: Any = map(self._literal, lines) if self.escape else lines
        return csv.reader(
            source,
            delimiter=self.delimiter,
            escapechar=self.escape,
            strict=strict,
            skipinitialspace=self.spaced,
        )

    def row(self, lines: Iterable[str]) -> list[str] | None:
        """The one row that the lines are without any fault; None where they are not one."""
        try:
            rows = list(self.parser(lines, strict=True))
        except csv.Error:
            return None
        return rows[0] if len(rows) == 1 else None

    def _literal(self, line: str) -> str:
        return self._pair.sub(self._doubled, line) if self._pair and self.escape and self.escape in line else line

    def _doubled(self, pair: re.Match[str]) -> str:
        return pair[0] if pair[1] in self._escaped else f"{self.escape}{pair[0]}"


def csv_rows(lines: Lines, dialect: Dialect, width: int | None = None) -> Iterator[list[str] | Unreadable]:
    """Yields rows of `width` cells (None: of any number); rows of another width are Unreadable."""
    parser, suspect, sign = dialect.parser(lines), dialect.suspect, dialect.suspect[0]
    while True:
        lines.next_row()
        try:
            cells = next(parser)
        except StopIteration:
            return
        except (csv.Error, TooLongError) as fault:  # the next row begins at the next line
            yield Unreadable([lines.give_back()], str(fault))
            continue
        if not cells:
            continue
        several = len(lines.taken) + lines.at_end > 1
        first = lines.taken[0]
        # One character is found faster than two.
        if (several or (sign in first and suspect in first)) and (lines.at_end or dialect.row(lines.taken) is None):
            # An unclosed quote takes lines up to the file's end.
            why = "a quoted cell is never closed" if several else "a quote is within quotes"
            yield Unreadable([lines.give_back()], why + _hint(dialect, lines))
        elif width and len(cells) != width:
            yield Unreadable(cells, f"{len(cells)} cells where there are {width} columns" + _hint(dialect, lines))
        else:
            yield cells


def _hint(dialect: Dialect, lines: Lines) -> str:
    """The setting that the row perhaps needs; empty where there is none."""
    if dialect.escape or not any(dialect.suspect in line for line in lines.taken):
        return ""
    return r'; if the file writes \" for a quote, set escape = "\\" for the feed'


def has_spaced_quotes(lines: Iterable[str], delimiter: str) -> bool:
    """Whether cells of these lines begin with spaces and a quote, which csv takes for a part of their text."""
    cells = (cell for row in csv.reader(lines, delimiter=delimiter) for cell in row)
    return any(cell.startswith(" ") and cell.lstrip(" ").startswith('"') for cell in cells)


def escapes_quotes(lines: Iterable[str], plain: Dialect, width: int) -> bool:
    """Whether a file escapes quotes by backslashes: some of the lines can be read only so, and none only without."""
    escaped = Dialect(plain.delimiter, BACKSLASH, spaced=plain.spaced)
    only_escaped = False
    for line in lines:
        if plain.suspect in line:
            is_plain, is_escaped = (
                (row := dialect.row([line])) is not None and len(row) == width for dialect in (plain, escaped)
            )
            if is_plain and not is_escaped:
                return False
            only_escaped |= is_escaped and not is_plain
    return only_escaped
