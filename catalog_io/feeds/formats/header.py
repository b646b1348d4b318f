"""Finds the row of a delimited file that names its columns: it may follow Excel's sep= line, or lines of a report."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from catalog_io.feeds.columns import FeedColumns, Unreadable
from catalog_io.feeds.formats.csv_rows import Dialect, csv_rows, has_spaced_quotes
from catalog_io.feeds.formats.text import EncodedFile, Lines, TooLongError
from catalog_io.feeds.picture_cells import is_unicode
from catalog_io.feeds.settings import FeedSettings
from schemas.cells.invisible import visible
from schemas.errors import ConfigurationError, UserError

DELIMITERS = (",", ";", "\t", "|")
SEARCHED_LINES = 20  # for a header that is not the first line
_SEPARATOR = re.compile(r'"?sep=(\\t|[^\w"\r\n])"?[,;\t|"]*', re.IGNORECASE)
_NO_NAME = re.compile(r"[-+]?[\d.,:/ -]+%?|\w+://.*|.{61,}", re.DOTALL)  # a number, a date, an address, a long text
_MARK_AS_TEXT = "ï»¿"  # the byte-order mark of UTF-8, encoded again
_AMAZON = "TemplateType="  # begins Amazon's flat files; the names are in the third line, below those for people


class Header(NamedTuple):
    """The columns' names, how the cells are written, and the number of lines before the header."""

    names: list[str]
    dialect: Dialect  # without escapes
    line: int
    needs_line: int | None = None  # the setting `header_line` without which the header is not found


def find_header(file: EncodedFile, feed: FeedSettings, columns: FeedColumns | None, usual: str) -> Header:
    """The header by the feed's settings, or the first line; without `columns`, the likeliest line.

    UserError where it cannot be read, or where a later line has the mapped columns.
    """
    _check(feed)
    first = _first_lines(file)
    start = next((number for number, line in enumerate(first) if line.strip("\r\n\ufeff")), 0)
    separator = _SEPARATOR.fullmatch(first[start].strip("\r\n\ufeff ")) if first else None
    delimiter = feed.delimiter
    if separator:
        delimiter = delimiter or separator[1].replace("\\t", "\t")
        start += 1
    if feed.header_line:
        start = feed.header_line - 1
    possible = (delimiter,) if delimiter else tuple(dict.fromkeys((usual, *DELIMITERS)))
    if columns is None:
        likely, possible = (start, possible) if feed.header_line else _likely(first, start, possible)
        headers = [_header(file, _dialect(first, each), likely) for each in possible]
        header = max(headers, key=lambda header: len(header.names))  # the first of those that fit equally well
        return header if likely == start else header._replace(needs_line=likely + 1)
    headers = [_header(file, _dialect(first, each), start) for each in possible]
    if fitting := next((header for header in headers if not columns.missing(header.names)), None):
        return fitting
    for number, line in enumerate(first[: start + 1 + SEARCHED_LINES]):
        if number != start and any(not columns.missing(names_of(_cells(line, each))) for each in possible):
            raise UserError(
                f"{file.path}: line {start + 1} does not name the mapped columns, line {number + 1} does: "
                f"set header_line = {number + 1} in [feeds.{feed.name}]"
            )
    return headers[0]


def _check(feed: FeedSettings) -> None:
    for key, value in (("delimiter", feed.delimiter), ("escape", feed.escape)):
        if value and (len(value) != 1 or value in '\r\n"'):
            raise ConfigurationError(f"feeds.{feed.name}.{key}: {value!r} must be one character, such as ; or \\")
    if feed.escape and feed.escape == feed.delimiter:
        raise ConfigurationError(f"feeds.{feed.name}.escape: {feed.escape!r} is the delimiter already")


def _first_lines(file: EncodedFile) -> list[str]:
    lines = Lines(file.beginning())
    found: list[str] = []
    try:
        for line in islice(lines, 2 * SEARCHED_LINES):
            found.append(line)
            lines.next_row()
    except TooLongError:
        pass
    return found


def _dialect(first: list[str], delimiter: str) -> Dialect:
    return Dialect(delimiter, spaced=has_spaced_quotes(first, delimiter))


def _header(file: EncodedFile, dialect: Dialect, start: int) -> Header:
    lines = Lines(file.beginning())
    lines.skip(start)
    header = next(csv_rows(lines, dialect), None)
    which = "first line" if start == 0 else f"line {start + 1}"
    if header is None:
        raise UserError(
            f"{file.path}: the file is empty; the first line must name the columns"
            if start == 0
            else f"{file.path}: there is no {which}, which must name the columns; correct feeds.{file.feed}.header_line"
        )
    if isinstance(header, Unreadable):
        raise UserError(f"{file.path}: the {which}, which names the columns, cannot be read: {header.fault}")
    if not is_unicode(header) or any("\0" in name for name in header):
        likely = file.likely_encoding() or "utf-8"
        raise UserError(
            f"{file.path}: the column names are not {file.shown} text; save the file as UTF-8, or set "
            f'feeds.{file.feed}.encoding, here perhaps to "{likely}"'
        )
    return Header(names_of(header), dialect, start)


def names_of(header: Sequence[str]) -> list[str]:
    """The cells of a header as names of columns."""
    names = (visible(name.removeprefix(_MARK_AS_TEXT)).strip() for name in header)
    # Behind a second byte-order mark, quotes are no quotes.
    return [name[1:-1] if len(name) > 2 and name[0] == name[-1] == '"' else name for name in names]


def _cells(line: str, delimiter: str) -> list[str]:
    """The cells of a line that is one row by itself; empty where it is not."""
    row = Dialect(delimiter).row([line]) or []
    return row if is_unicode(row) else []


def _likely(first: Sequence[str], start: int, possible: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    """The line that is probably the header, and the delimiters with which it can be; `start` unless it cannot be."""
    if any(line.startswith(_AMAZON) for line in first[start : start + 1]) and len(first) > start + 2:
        return start + 2, ("\t",)
    if any(_is_table(first, start, delimiter) for delimiter in possible):
        return start, possible
    found = [(number, each) for number in range(start + 1, len(first)) for each in _headers(first, number, possible)]
    if not found:
        return start, possible
    return found[0][0], tuple(delimiter for number, delimiter in found if number == found[0][0])


def _is_table(first: Sequence[str], number: int, delimiter: str) -> bool:
    """Whether most of a line's cells, and at least three, say something, or as many as in the next line and all."""
    cells = _cells(first[number], delimiter) if number < len(first) else []
    full = sum(bool(cell.strip()) for cell in cells)
    following = next((row for line in first[number + 1 :] if (row := _cells(line, delimiter))), [])
    return (full >= 3 and 2 * full > len(cells)) or (len(cells) >= 2 and full == len(cells) == len(following))


def _headers(first: Sequence[str], number: int, possible: Sequence[str]) -> Iterator[str]:
    """The delimiters with which a later line looks like a header: different names, and as many as the next line has."""
    for delimiter in possible:
        names = [name for name in names_of(_cells(first[number], delimiter)) if name]
        is_header = len(names) >= 3 and len({*names}) == len(names) and not any(map(_NO_NAME.fullmatch, names))
        if is_header and _is_table(first, number, delimiter):
            yield delimiter
