"""Reads text files: finds their encoding, and yields lines, of which none is too long for memory."""

import codecs
import io
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Protocol, TextIO, TypeVar

from catalog_io.feeds.columns import BATCH_BYTES
from catalog_io.feeds.files import FeedFile
from catalog_io.feeds.formats.encodings import Guess, guess_encoding
from catalog_io.feeds.formats.kinds import refuse_other_kinds
from catalog_io.feeds.settings import FeedSettings
from schemas.errors import ConfigurationError

HEAD_BYTES = 4_000_000  # read first, to find the encoding and the columns
UNDECODED = r"^not \S+ text$"  # a regular expression for the fault `EncodedFile.undecoded` of rows
LONGEST_ROW = 10_000_000  # characters; a longer row is unreadable, and is never in memory as a whole
MOST_READ_TWICE = 100_000_000  # characters of one file that are parsed again after unclosed quotes

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)

Row = TypeVar("Row")


def _as_surrogates(fault: UnicodeError) -> tuple[str, int]:
    """Decodes invalid bytes as lone surrogates, also for UTF-16 (surrogateescape cannot); `is_unicode` finds them."""
    assert isinstance(fault, UnicodeDecodeError)
    return "".join(chr(0xDC00 + byte) for byte in fault.object[fault.start : fault.end]), fault.end


codecs.register_error("cma.surrogates", _as_surrogates)


class TooLongError(Exception):
    """A row of more than LONGEST_ROW characters."""


class EncodedFile:
    """A text file, decoded by the feed's `encoding`, or its byte-order mark, or (with `guess`) its bytes, or UTF-8.

    `guessed` is the setting that the file needs, if any, with what is doubtful about it. `undecoded` is the fault of a
    row that is not text in the encoding. ConfigurationError for an unknown encoding; UserError for a file that is not
    of the kind of `suffix`.
    """

    def __init__(self, file: FeedFile, feed: FeedSettings, *, guess: bool = False, suffix: str | None = None) -> None:
        self.path = file.shown
        self.feed = feed.name
        self._stream = file.stream
        with self._stream() as stream:
            self._head = stream.read(HEAD_BYTES)
        self.head_is_whole = len(self._head) < HEAD_BYTES
        if suffix:
            refuse_other_kinds(self._head, file.shown, suffix)
        self.guessed = self._guess() if guess and not feed.encoding else Guess(None)
        encoding = feed.encoding or self.guessed.encoding
        mark = next((codec for mark, codec in _MARKS if self._head.startswith(mark)), None)
        try:
            named = codecs.lookup(encoding or "utf-8").name
            self.codec = mark if mark and named.startswith("utf") else named
            self.shown = self.codec.removesuffix("-sig").upper()
            self.undecoded = f"not {self.shown} text"
            self.beginning().read(1)
        except (LookupError, ValueError) as fault:
            raise ConfigurationError(
                f"feeds.{self.feed}.encoding: {encoding!r} is not a known encoding: {fault}; "
                'set one such as "utf-8", "utf-16" or "windows-1252"'
            ) from fault

    def beginning(self) -> TextIO:
        """The first HEAD_BYTES, decoded. Not available after `lines`."""
        return self._decoded(io.BytesIO(self._head), "")

    def head_has(self, sign: str) -> bool:
        """Whether the first HEAD_BYTES may have this ASCII character. Not available after `lines`."""
        return sign.encode() in self._head

    @contextmanager
    def lines(self, newline: str) -> Iterator["Lines"]:
        """All lines. Bytes that are invalid in the encoding become lone surrogates."""
        with self.text(newline) as text:
            yield Lines(text)

    @contextmanager
    def text(self, newline: str = "\n") -> Iterator[TextIO]:
        """The whole content, decoded as for `lines`."""
        self._head = b""
        with self._stream() as stream:
            yield self._decoded(stream, newline)

    def likely_encoding(self) -> str | None:
        """The `encoding` that this file seems to need; None where it needs none."""
        return self._guess().encoding

    def _guess(self) -> Guess:
        has_mark = any(self._head.startswith(mark) for mark, _ in _MARKS)
        return Guess(None) if has_mark else guess_encoding(self._head)

    def _decoded(self, stream: BinaryIO, newline: str) -> TextIO:
        return io.TextIOWrapper(stream, encoding=self.codec, errors="cma.surrogates", newline=newline)


class Lines:
    """Iterates over lines for a parser that takes several for one row. `taken` are the lines of the current row."""

    def __init__(self, text: TextIO) -> None:
        self._readline = text.readline
        self._again: deque[str] = deque()
        self._may_read_twice = MOST_READ_TWICE
        self.taken: list[str] = []
        self.characters = 0  # of all rows until now
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
            self.taken[-1] = line.rstrip("\r\n") + "\n"  # a complete line, in case it is parsed again
            while line and line[-1] not in "\r\n":
                line = self._readline(LONGEST_ROW)
            raise TooLongError(f"more than {LONGEST_ROW:,} characters")
        return line

    def skip(self, lines: int) -> None:
        """Passes over some lines."""
        for _ in range(lines):
            self.next_row()
            next(self, "")
        self.next_row()

    def next_row(self) -> None:
        """Begins a new row with the next line."""
        self.taken.clear()
        self._row_began = self.characters
        self.at_end = False

    def give_back(self) -> str:
        """Puts all lines of the row but its first back, to be parsed again, and returns the first.

        Beyond MOST_READ_TWICE the row keeps its lines, which are all returned, so that time stays linear.
        """
        later = self.taken[1:]
        size = sum(map(len, later))
        if size > self._may_read_twice:
            return "".join(self.taken)
        self._may_read_twice -= size
        self._again.extendleft(reversed(later))
        return self.taken[0]


class Counts(Protocol):
    """What rows come from; `characters` are those of all rows until now."""

    characters: int


def batches(rows: Iterable[Row], lines: Counts, batch_rows: int) -> Iterator[list[Row]]:
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
