"""Finds the files that a feed's source names, locally or remotely, and opens them as streams."""

import io
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import fsspec

from catalog_io.feeds.settings import FeedSettings
from catalog_io.feeds.unpacking import COMPRESSIONS, reason, unpacked
from schemas.errors import ConfigurationError, UserError
from schemas.secrets import redacted

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
_BLOCK = 1 << 20


def feed_files(feed: FeedSettings) -> list["FeedFile"]:
    """The files that a feed's source names, sorted; UserError where there is none, or it cannot be reached."""
    key, source = f"feeds.{feed.name}.source", redacted(feed.source)
    try:
        filesystem, path = fsspec.core.url_to_fs(feed.source, **_options(feed.source))
        filesystem.invalidate_cache()  # a worker that lives for days must see new files
        found = _found(filesystem, path)
    except ImportError as fault:
        extra = _EXTRAS.get(urlsplit(feed.source).scheme)
        way_out = f"install cma-tagger[{extra}]" if extra else redacted(str(fault))
        raise ConfigurationError(f"{key}: {source} needs a package that is not installed: {way_out}") from fault
    except Exception as fault:  # each file system has errors of its own
        raise UserError(f"{key}: {source} cannot be opened: {reason(fault)}") from fault
    if not found:
        raise UserError(f"{key}: there is no file {source}; correct the path in cma.toml")
    return [FeedFile(filesystem, info["name"], info.get("mimetype", "")) for info in found]


def _found(filesystem: Any, path: str) -> list[dict[str, Any]]:
    try:
        info = filesystem.info(path)  # a file whose name has a [ is no pattern
    except FileNotFoundError as fault:
        cause = fault.__cause__
        # fsspec reports every HTTP error as a missing file; only 404 and 410 are.
        if _is_web(filesystem) and cause is not None and getattr(cause, "status", None) not in (404, 410):
            raise cause from None
        info = {"type": "other"}
    if info["type"] == "directory":
        raise IsADirectoryError("this is a folder; name its files, such as folder/*.csv")
    if info["type"] == "file":
        return [{**info, "name": path}]
    if not set(path) & set("*?["):
        return []
    matches = filesystem.glob(path, detail=True)
    return [{**info, "name": name} for name, info in sorted(matches.items()) if info["type"] == "file"]


def _options(source: str) -> dict[str, Any]:
    if urlsplit(source).scheme not in ("http", "https"):
        return {}
    import aiohttp

    # A large feed takes longer than the five minutes that aiohttp allows.
    client = {
        "timeout": aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=300),
        "headers": {"Accept-Encoding": "identity"},
        "auto_decompress": False,
    }
    # The quoting of a signed address is part of what is signed.
    return {"client_kwargs": client, "encoded": "%" in source}


def _is_web(filesystem: Any) -> bool:
    return "http" in filesystem.protocol


class FeedFile:
    """One local or remote file. `suffix` is that of its name without the compression's; `shown` is free of secrets.

    `compression` is what the name says; the bytes decide how the file is unpacked."""

    def __init__(self, filesystem: Any, path: str, media_type: str) -> None:
        self.filesystem = filesystem
        self.path = path
        self.shown = redacted(path)
        self.is_web = _is_web(filesystem)
        name = PurePosixPath(urlsplit(path).path if self.is_web else path)
        self.compression = name.suffix.lower() if name.suffix.lower() in COMPRESSIONS else None
        self.suffix = (name.with_suffix("").suffix if self.compression else name.suffix).lower()
        self.media_type = media_type if self.is_web else ""

    @contextmanager
    def stream(self) -> Iterator[BinaryIO]:
        """The decompressed content from the beginning. Every failure to read it is a UserError."""
        with ExitStack() as stack:
            try:
                options = {"block_size": 0} if self.is_web else {"block_size": _BLOCK * 8}
                raw = stack.enter_context(self.filesystem.open(self.path, "rb", **options))
                coding = raw.r.headers.get("Content-Encoding", "") if self.is_web else None
                plain = stack.enter_context(unpacked(raw, self.shown, self.compression, coding))
            except UserError:
                raise
            except Exception as fault:
                raise UserError(f"{self.shown}: cannot be opened: {reason(fault)}") from fault
            yield stack.enter_context(io.BufferedReader(plain, _BLOCK))

    @contextmanager
    def seekable(self) -> Iterator[BinaryIO]:
        """The content for random access; a file that is compressed or from the web is first copied to disk."""
        if not self.is_web:
            with self.stream() as stream:
                if stream.seekable():
                    yield stream
                    return
        self._copy.seek(0)
        yield self._copy

    @cached_property
    def _copy(self) -> BinaryIO:
        copy = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as this object)
        weakref.finalize(self, copy.close)
        with self.stream() as stream:
            shutil.copyfileobj(stream, copy, _BLOCK)
        return copy
