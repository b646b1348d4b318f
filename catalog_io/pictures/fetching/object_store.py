"""Pictures below a folder of an object store, or of anything else that fsspec opens."""

import datetime
from typing import Any

import fsspec
from fsspec.asyn import sync

from catalog_io.pictures.fetching.fetched import Fetched, too_many_bytes
from catalog_io.pictures.fetching.references import below, shown
from catalog_io.pictures.fetching.settings import FetchSettings
from schemas.errors import UserError
from schemas.pictures import PictureError
from schemas.secrets import redacted

__all__ = ["Store"]

_LONGEST_NAME = 1024  # bytes of a key, in every store we know
_CONTENT_MARKS = ("ETag", "etag", "md5Hash", "content_md5")
_TIME_MARKS = ("LastModified", "last_modified", "mtime", "updated", "modified", "created")


class Store:
    """A remote folder of pictures, opened when it is first used with the operator's credentials."""

    def __init__(self, root: str, policy: FetchSettings) -> None:
        self._root = root
        self._policy = policy
        try:
            # A listing that a long-lived worker remembers would hide tomorrow's pictures.
            self._filesystem, path = fsspec.core.url_to_fs(root, use_listings_cache=False)
        except ImportError as fault:
            scheme = root.partition(":")[0]
            raise UserError(f"{redacted(root)}: {fault}; `pip install 'cma-tagger[{scheme}]'` may help") from fault
        except Exception as fault:  # every file system has errors of its own
            raise UserError(f"{redacted(root)}: cannot be opened: {redacted(str(fault))}") from fault
        self._path = path.rstrip("/")

    def check(self) -> None:
        """UserError where the folder is not there, or may not be listed."""
        try:
            self._call("info", self._path)
        except FileNotFoundError as fault:
            raise UserError(f"{redacted(self._root)}: there is no such folder of pictures") from fault
        except Exception as fault:
            raise UserError(f"{redacted(self._root)}: cannot be reached: {redacted(str(fault))}") from fault

    def read(self, relative: str, stamp: str = "") -> Fetched | None:
        """None where the picture is unchanged since `stamp`."""
        name = below(self._path, relative)
        if name is None:
            raise PictureError("picture_outside_root", f"{shown(relative)} lies outside the feed's picture folder")
        if "\0" in name or len(name.encode("utf-8", "replace")) > _LONGEST_NAME:
            raise PictureError("picture_not_found", f"{shown(relative)} is not a usable path")
        try:
            return self._read(f"{self._path}/{name}", stamp)
        except PictureError:
            raise
        except (FileNotFoundError, NotADirectoryError) as fault:
            sentence = f"there is no {shown(relative)} in the feed's picture folder"
            raise PictureError("picture_not_found", sentence) from fault
        except IsADirectoryError as fault:
            raise _not_a_file(relative) from fault
        except PermissionError as fault:
            raise PictureError("picture_unreadable", f"{shown(relative)} may not be read") from fault
        except TimeoutError as fault:  # fsspec's own is one, too
            raise PictureError("picture_timeout", f"{shown(relative)} did not come in time") from fault
        except Exception as fault:  # every store has errors of its own
            sentence = f"{shown(relative)} cannot be read: {shown(str(fault))}"
            raise PictureError("picture_connection_failed", sentence) from fault

    def _read(self, path: str, stamp: str) -> Fetched | None:
        info = self._call("info", path)
        if info.get("type") == "directory":
            raise _not_a_file(path)
        found = self._stamp(path, info)
        if stamp and stamp == found:
            return None
        size, most = info.get("size"), self._policy.max_bytes
        if size == 0:
            return Fetched(b"", found)  # stores refuse a range of nothing
        if size is not None and size > most:
            raise too_many_bytes(size, most)
        data = self._call("cat_file", path, start=0, end=most + 1)
        if len(data) > most:
            raise too_many_bytes(len(data), most)
        return Fetched(bytes(data), found)

    def _stamp(self, path: str, info: dict[str, Any]) -> str:
        for mark in _CONTENT_MARKS:
            if info.get(mark):
                return str(info[mark])
        for mark in _TIME_MARKS:
            if value := info.get(mark):
                time = value.isoformat() if isinstance(value, datetime.datetime) else value
                return f"{time}-{info.get('size')}"
        return str(self._call("ukey", path))

    def _call(self, name: str, path: str, **options: Any) -> Any:
        """Bounded in time where the file system allows it."""
        filesystem = self._filesystem
        if filesystem.async_impl and hasattr(filesystem, f"_{name}"):
            return sync(filesystem.loop, getattr(filesystem, f"_{name}"), path, timeout=self._policy.timeout, **options)
        return getattr(filesystem, name)(path, **options)


def _not_a_file(path: str) -> PictureError:
    return PictureError("picture_not_a_file", f"{shown(path)} is not a file")
