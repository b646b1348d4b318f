"""Unpacks compressed files by their bytes, whatever their names, and turns every failure to read into a UserError."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from schemas.errors import UserError
from schemas.secrets import redacted

MOST_LAYERS = 3  # of compression: servers pack files that are packed already

Opener = Callable[[Any], Any]
_OPENERS: dict[str, Opener] = {
    ".gz": lambda stream: gzip.GzipFile(fileobj=stream),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    # zstandard's own reader takes a file that is cut short for a whole one.
    ".zst": lambda stream: pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd"),
}
COMPRESSIONS = frozenset(_OPENERS)
_MAGIC = (
    (b"\x1f\x8b\x08", ".gz"),
    (b"BZh91AY&SY", ".bz2"),
    (b"\xfd7zXZ\0", ".xz"),
    (b"\x28\xb5\x2f\xfd", ".zst"),
)
_PEEKED = 512
_MARKS = (b"\xff\xfe", b"\xfe\xff")  # UTF-16 and UTF-32, whose text has NUL bytes
_NOT_IN_TEXT = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b\x1e"))


def reason(fault: BaseException) -> str:
    """What is wrong, without secrets."""
    status = getattr(fault, "status", None)  # an HTTP error, whose text would repeat the address
    text = f"{status} {getattr(fault, 'message', '')}" if status else redacted(str(fault)) or type(fault).__name__
    refused = isinstance(fault, PermissionError) or status in (401, 403)
    return f"{text} (access is refused: check the credentials)" if refused else text


def unpacked(raw: Any, shown: str, named: str | None, coding: str | None) -> "GuardedStream":
    """The content of a file, with as many layers of compression removed as its bytes show; UserError for too many.

    `named` is the compression that the file's name says: text is read as it is, since a server or browser has unpacked
    it already, and anything else must be packed so. `coding` is the Content-Encoding of a web server, None for a file
    that is not from the web.
    """
    stream = GuardedStream(raw, shown, seekable=coding is None and raw.seekable())
    stream = _decoded(stream, shown, coding or "")
    for layer in range(MOST_LAYERS + 1):
        head = stream.peek(_PEEKED)
        compression = next((name for magic, name in _MAGIC if head.startswith(magic)), None)
        if compression is None and layer == 0 and named and not is_text(head):
            compression = named
        if compression is None:
            return stream
        stream = GuardedStream(_OPENERS[compression](stream), shown)
    raise UserError(f"{shown}: the file is compressed more than {MOST_LAYERS} times; unpack it")


def _decoded(stream: "GuardedStream", shown: str, coding: str) -> "GuardedStream":
    """Without the codings of a web server that the bytes do not show."""
    for part in filter(None, (part.strip().lower() for part in reversed(coding.split(",")))):
        if part == "deflate":
            stream = GuardedStream(_Inflated(stream), shown)
        elif part not in ("identity", "gzip", "x-gzip", "zstd"):
            raise UserError(
                f"{shown}: the server sends the file in the Content-Encoding {part}, which cannot be unpacked; have it "
                "sent as it is, or as gzip"
            )
    return stream


def is_text(head: bytes) -> bool:
    """Whether the first bytes of a file have no control characters, as text has none."""
    return head != b"" and (head.startswith(_MARKS) or head.translate(None, _NOT_IN_TEXT) == head)


class GuardedStream(io.RawIOBase):
    """Turns the errors that libraries raise for a damaged file or a lost server, each its own, into UserError."""

    def __init__(self, stream: Any, shown: str, *, seekable: bool = False) -> None:
        self._stream = stream
        self._shown = shown
        self._seekable = seekable
        self._peeked = b""

    def peek(self, size: int) -> bytes:
        """The next bytes, which stay to be read: `size` of them, or less at the end."""
        while len(self._peeked) < size and (data := self._tried(self._stream.read, size - len(self._peeked))):
            self._peeked += data
        return self._peeked[:size]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._seekable

    def readinto(self, buffer: Any) -> int:
        if self._peeked:
            data, self._peeked = self._peeked[: len(buffer)], self._peeked[len(buffer) :]
        else:
            data = self._tried(self._stream.read, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_CUR:
            offset, whence = self.tell() + offset, io.SEEK_SET
        self._peeked = b""
        self._tried(self._stream.seek, offset, whence)
        return self.tell()

    def tell(self) -> int:
        return int(self._stream.tell()) - len(self._peeked)

    def _tried(self, method: Callable[..., Any], *arguments: int) -> Any:
        try:
            return method(*arguments)
        except UserError:
            raise
        except Exception as fault:
            raise UserError(
                f"{self._shown}: reading failed, the file is damaged or its server is gone: {reason(fault)}; "
                "fetch or write the file again, then run this again"
            ) from fault


class _Inflated:
    """Decodes the Content-Encoding deflate: zlib, which some servers send without its header."""

    def __init__(self, stream: GuardedStream) -> None:
        self._stream = stream
        first, second = (*stream.peek(2), 0, 0)[:2]
        has_header = first & 15 == 8 and (first * 256 + second) % 31 == 0
        self._inflater = zlib.decompressobj(15 if has_header else -15)

    def read(self, size: int) -> bytes:
        data = b""
        while not data and not self._inflater.eof:
            packed = self._inflater.unconsumed_tail or self._stream.read(1 << 16)
            if not packed:
                raise EOFError("the compressed data ended before its end marker")
            data = self._inflater.decompress(packed, size)
        return data
