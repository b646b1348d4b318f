"""Reads pictures from a folder of an object store, or of any other file system of fsspec."""

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

_LONGEST_NAME = 1024  # bytes of a key, in S3, GCS and Azure
_CONTENT_KEYS = ("ETag", "etag", "md5Hash", "content_md5")
_TIME_KEYS = ("LastModified", "last_modified", "mtime", "updated", "modified", "created")


class Store:
    """A remote folder of pictures, opened with the operator's credentials."""

    def __init__(self, root: str, settings: FetchSettings) -> None:
        self._root = root
        self._settings = settings
        try:
            # A worker that lives for days must see new pictures, so listings are not cached.
            self._filesystem, path = fsspec.core.url_to_fs(root, use_listings_cache=False)
        except ImportError as fault:
            scheme = root.partition(":")[0]
            raise UserError(f"{redacted(root)}: {fault}; `pip install 'cma-tagger[{scheme}]'` may help") from fault
        except Exception as fault:  # every file system has errors of its own
            raise UserError(f"{redacted(root)}: cannot be opened: {redacted(str(fault))}") from fault
        self._path = path.rstrip("/")

    def check(self) -> None:
        """Raises UserError where the folder does not exist or cannot be reached."""
        try:
            self._call("info", self._path)
        except FileNotFoundError as fault:
            raise UserError(f"{redacted(self._root)}: there is no such folder of pictures") from fault
        except Exception as fault:
            raise UserError(f"{redacted(self._root)}: cannot be reached: {redacted(str(fault))}") from fault

    def read(self, relative: str, stamp: str = "") -> Fetched | None:
        """The picture, or None where it is unchanged since `stamp`; PictureError says why there is none."""
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
        except TimeoutError as fault:  # also fsspec's own FSTimeoutError
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
        size, most = info.get("size"), self._settings.max_bytes
        if size == 0:
            return Fetched(b"", found)  # stores refuse a range of nothing
        if size is not None and size > most:
            raise too_many_bytes(size, most)
        data = self._call("cat_file", path, start=0, end=most + 1)
        if len(data) > most:
            raise too_many_bytes(len(data), most)
        return Fetched(bytes(data), found)

    def _stamp(self, path: str, info: dict[str, Any]) -> str:
        for key in _CONTENT_KEYS:
            if info.get(key):
                return str(info[key])
        for key in _TIME_KEYS:
            if value := info.get(key):
                time = value.isoformat() if isinstance(value, datetime.datetime) else value
                return f"{time}-{info.get('size')}"
        return str(self._call("ukey", path))

    def _call(self, name: str, path: str, **options: Any) -> Any:
        """Calls a method of the file system, with the time limit where the file system has one."""
        filesystem = self._filesystem
        if filesystem.async_impl and hasattr(filesystem, f"_{name}"):
            return sync(
                filesystem.loop, getattr(filesystem, f"_{name}"), path, timeout=self._settings.timeout, **options
            )
        return getattr(filesystem, name)(path, **options)


def _not_a_file(path: str) -> PictureError:
    return PictureError("picture_not_a_file", f"{shown(path)} is not a file")
