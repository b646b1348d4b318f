"""Reads pictures from a local folder, and from nowhere outside it."""

import errno
import os
import stat as kinds
from pathlib import Path

from catalog_io.pictures.fetching.fetched import Fetched, too_many_bytes
from catalog_io.pictures.fetching.nearest import nearest
from catalog_io.pictures.fetching.references import shown
from catalog_io.pictures.fetching.spellings import likely_cause, spellings, unicode_forms
from schemas.errors import UserError
from schemas.pictures import PictureError

_NO_SUCH_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
_SHOWN = 120  # characters of a path in a message that has two


class Folder:
    """A local folder of pictures. A path means the file of that very name; where there is none, one that other systems
    write so: with backslashes, %20, ?v=1, a leading slash, or the other form of Unicode."""

    def __init__(self, root: str, max_bytes: int) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._resolved: Path | None = None

    def check(self) -> None:
        """Raises UserError where the folder does not exist or may not be read."""
        if not os.path.isdir(self._root):
            raise UserError(f"{self._root}: there is no such folder of pictures; correct the feed's `images`")
        if not os.access(self._root, os.R_OK | os.X_OK):
            raise UserError(f"{self._root}: this user may not read the folder of pictures")

    def stamp(self, relative: str) -> str:
        """Modification time and size of the file that `read` reads, as text; "" where there is none."""
        try:
            status = os.stat(self._inside(relative) if relative.startswith("/") else os.path.join(self._root, relative))
        except (OSError, ValueError, PictureError):
            found = self._found(relative)
            try:
                status = os.stat(os.path.join(self._root, found or relative))
            except (OSError, ValueError):
                return ""
        return _stamp(status) if kinds.S_ISREG(status.st_mode) else ""

    def read(self, relative: str, stamp: str = "") -> Fetched | None:
        """The picture, or None where it is unchanged since `stamp`; PictureError for a path out of the folder."""
        try:
            return self._read(relative, stamp)
        except PictureError as fault:
            if fault.code not in ("picture_not_found", "picture_outside_root"):
                raise
            found = self._found(relative)
            if found is None:
                raise self._explained(relative, fault) from fault
        return self._read(found, stamp)

    def _read(self, relative: str, stamp: str) -> Fetched | None:
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

    def _top(self) -> Path:
        self._resolved = self._resolved or Path(self._root).resolve()
        return self._resolved

    def _inside(self, relative: str) -> Path:
        try:
            top = self._top()
            path = (top / relative).resolve()  # follows symbolic links, so that they cannot lead out either
        except (OSError, ValueError, RuntimeError) as fault:  # name too long, NUL, circle of links
            raise PictureError("picture_not_found", f"{shown(relative)} is not a usable path") from fault
        if not path.is_relative_to(top):
            sentence = f"{shown(relative)} lies outside the feed's picture folder"
            raise PictureError("picture_outside_root", sentence)
        return path

    def _found(self, relative: str) -> str | None:
        """The path of a file of the folder that the reference means, written in another way."""
        for spelling in spellings(relative, str(self._top())):
            if (path := self._in_either_form(spelling)) is not None and not os.path.isdir(self._top() / path):
                return path
        return None

    def _in_either_form(self, spelling: str) -> str | None:
        """The path as its folders and its file are called on the disk, in either form of Unicode."""
        if os.path.lexists(self._top() / spelling):
            return spelling
        path = ""
        for part in spelling.split("/") if not spelling.isascii() else ():
            forms = (os.path.join(path, form) for form in unicode_forms(part))
            here = next((form for form in forms if os.path.lexists(self._top() / form)), None)
            if here is None:
                return None
            path = here
        return path or None

    def _explained(self, relative: str, fault: PictureError) -> PictureError:
        """The fault with its likely cause."""
        if cause := likely_cause(relative):
            return PictureError("picture_not_found", f"{shown(relative, _SHOWN)} {cause}")
        for spelling in list(spellings(relative, str(self._top())))[-4:]:
            if found := nearest(self._top(), spelling):
                there = f"but there is {shown(found, _SHOWN)}; correct the path, or the name of the file"
                sentence = f"there is no {shown(relative, _SHOWN)} in the feed's picture folder, {there}"
                return PictureError("picture_not_found", sentence)
        if fault.code == "picture_outside_root" and relative.startswith("/"):
            sentence = (
                f"{shown(relative, _SHOWN)} is an absolute path outside the feed's picture folder, perhaps of another "
                "computer; set `images` to the folder that holds the pictures here"
            )
            return PictureError("picture_outside_root", sentence)
        return fault


def _stamp(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns}-{status.st_size}"


def _not_a_file(relative: str) -> PictureError:
    return PictureError("picture_not_a_file", f"{shown(relative)} is a folder or device, not a file")
