"""Reads pictures from a local folder, and from nowhere outside it."""

import errno
import os
import stat as kinds
from pathlib import Path

from catalog_io.pictures.fetching.fetched import Fetched, too_many_bytes
from catalog_io.pictures.fetching.references import shown
from schemas.errors import UserError
from schemas.pictures import PictureError

_NO_SUCH_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)


class Folder:
    """A local folder of pictures."""

    def __init__(self, root: str, max_bytes: int) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._top: Path | None = None

    def check(self) -> None:
        """Raises UserError where the folder does not exist or may not be read."""
        if not os.path.isdir(self._root):
            raise UserError(f"{self._root}: there is no such folder of pictures; correct the feed's `images`")
        if not os.access(self._root, os.R_OK | os.X_OK):
            raise UserError(f"{self._root}: this user may not read the folder of pictures")

    def stamp(self, relative: str) -> str:
        """Modification time and size of the file as text; "" where there is no such file."""
        try:
            status = os.stat(os.path.join(self._root, relative))
        except (OSError, ValueError):
            return ""
        return _stamp(status) if kinds.S_ISREG(status.st_mode) else ""

    def read(self, relative: str, stamp: str = "") -> Fetched | None:
        """The picture, or None where it is unchanged since `stamp`; PictureError for a path out of the folder."""
        path = self._inside(relative)
        try:
            # Non-blocking, because opening a pipe would wait for a writer.
            with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                status = os.fstat(file.fileno())
                if not kinds.S_ISREG(status.st_mode):
                    raise _not_a_file(relative)
                if stamp and stamp == _stamp(status):
                    return None
                if status.st_size > self._max_bytes:
                    raise too_many_bytes(status.st_size, self._max_bytes)
                data = file.read(self._max_bytes + 1)  # the file may be growing
        except OSError as fault:
            if fault.errno in _NO_SUCH_FILE:
                sentence = f"there is no {shown(relative)} in the feed's picture folder"
                raise PictureError("picture_not_found", sentence) from fault
            if fault.errno in (errno.ENXIO, errno.EISDIR):  # a socket; a folder
                raise _not_a_file(relative) from fault
            sentence = f"{shown(relative)} cannot be read: {fault.strerror}"
            raise PictureError("picture_unreadable", sentence) from fault
        if len(data) > self._max_bytes:
            raise too_many_bytes(len(data), self._max_bytes)
        return Fetched(data, _stamp(status))

    def _inside(self, relative: str) -> Path:
        try:
            top = self._top = self._top or Path(self._root).resolve()
            path = (top / relative).resolve()  # follows symbolic links, so that they cannot lead out either
        except (OSError, ValueError, RuntimeError) as fault:  # name too long, NUL, circle of links
            raise PictureError("picture_not_found", f"{shown(relative)} is not a usable path") from fault
        if not path.is_relative_to(top):
            sentence = f"{shown(relative)} lies outside the feed's picture folder"
            raise PictureError("picture_outside_root", sentence)
        return path


def _stamp(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns}-{status.st_size}"


def _not_a_file(relative: str) -> PictureError:
    return PictureError("picture_not_a_file", f"{shown(relative)} is a folder or device, not a file")
