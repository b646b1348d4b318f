"""Reads the objects of a JSON file that is not one object a line: an array, a list within an object, printed JSON."""

from collections.abc import Iterator
from typing import Any, TextIO

from catalog_io.feeds.formats.json_shape import BLANK, DECODER, Fits, Path, list_paths, no_choice
from catalog_io.feeds.formats.text import LONGEST_ROW
from schemas.errors import UserError

_PIECE = 1 << 18


class JsonItems:
    """Iterates over the values of a JSON file as (value, its text), in bounded memory.

    They are the file's values one after another, or the elements where such a value is an array; with `path`, the
    elements of the list that these keys lead to. `characters` are those read until now. UserError where the JSON is
    damaged, or where another list of rows, which `fits` tells by their keys, stands behind that one.
    """

    def __init__(self, text: TextIO, shown: str, path: Path = (), fits: Fits = None) -> None:
        self._text = text
        self._shown = shown
        self._path = path
        self._fits = fits
        self._buffer = ""
        self._at = 0
        self._items = 0
        self.characters = 0

    def __iter__(self) -> Iterator[tuple[Any, str]]:
        while sign := self._next():
            if sign == ",":
                self._at += 1
            elif self._path:
                yield from self._within(self._path)
            elif sign == "[":
                yield from self._elements()
            else:
                yield self._item()

    def _within(self, path: Path) -> Iterator[tuple[Any, str]]:
        """The elements of the list that the keys lead to, from the value that begins here."""
        if not path:
            yield from self._elements()
            return
        self._expect("{")
        passed = False
        while self._next() != "}":
            key, _ = self._value()
            self._expect(":")
            if key == path[0] and not passed:
                passed = True
                self._next()
                yield from self._within(path[1:])
            elif (lists := list_paths({key: self._value()[0]}, self._fits)) and passed:
                raise no_choice(self._shown, [path, *lists])
            if self._next() == ",":
                self._at += 1
        self._at += 1

    def _elements(self) -> Iterator[tuple[Any, str]]:
        self._expect("[")
        while (sign := self._next()) != "]":
            if sign == ",":
                self._at += 1
            else:
                yield self._item()
        self._at += 1

    def _item(self) -> tuple[Any, str]:
        item = self._value()
        self._items += 1
        return item

    def _value(self) -> tuple[Any, str]:
        """The value that begins here, after spaces."""
        self._next()
        while True:
            try:
                value, end = DECODER.raw_decode(self._buffer, self._at)
                if end < len(self._buffer) or not self._more():
                    text = self._buffer[self._at : end]
                    self._at = end
                    return value, text
            except (ValueError, RecursionError) as fault:
                if len(self._buffer) - self._at > LONGEST_ROW or not self._more():
                    raise self._damaged(str(fault).split(":")[0]) from fault

    def _next(self) -> str:
        """The next character that is not blank, which stays to be read; empty at the end of the file."""
        while True:
            while self._at < len(self._buffer):
                if (sign := self._buffer[self._at]) not in BLANK:
                    return sign
                self._at += 1
            if not self._more():
                return ""

    def _expect(self, sign: str) -> None:
        if self._next() != sign:
            raise self._damaged(f"there is no {sign}")
        self._at += 1

    def _more(self) -> bool:
        """Reads on, in pieces that grow with a long value so that it is not parsed again too often."""
        rest = self._buffer[self._at :]
        piece = self._text.read(max(_PIECE, len(rest)))
        self._buffer, self._at = rest + piece, 0
        self.characters += len(piece)
        return piece != ""

    def _damaged(self, why: str) -> UserError:
        return UserError(
            f"{self._shown}: the JSON is damaged after {self._items:,} objects: {why}; fetch or write the file again, "
            "or write one object a line (jq -c '.[]' makes lines of an array)"
        )
