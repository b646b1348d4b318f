"""A feed's picture files: read from below its own folder, and from nowhere else."""

import errno
import stat
from pathlib import Path

MAX_BYTES = 50_000_000

_NO_SUCH_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)


class PictureError(Exception):
    """A picture that cannot be used: a stable `code`, and a `sentence` for the report."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence


def read_picture(root: Path, relative: str) -> bytes:
    """The bytes of a picture below `root`; a path that leads anywhere else is a PictureError."""
    path = _inside(root, relative)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise PictureError("picture_not_a_file", f"{relative} is not a file")
        if status.st_size > MAX_BYTES:
            raise too_many_bytes(status.st_size)
        return path.read_bytes()
    except OSError as fault:
        if fault.errno in _NO_SUCH_FILE:
            sentence = f"there is no {relative} in the feed's picture folder"
            raise PictureError("picture_not_found", sentence) from fault
        raise PictureError("picture_unreadable", f"{relative} cannot be read: {fault.strerror}") from fault


def stamp(root: Path, relative: str) -> str:
    """Changes when the file does (modification time and size); "" where there is no such file."""
    try:
        status = _inside(root, relative).stat()
    except (PictureError, OSError):
        return ""
    return f"{status.st_mtime_ns}-{status.st_size}"


def _inside(root: Path, relative: str) -> Path:
    if not relative:
        raise PictureError("picture_not_found", "the listing names no picture")
    try:
        top = root.resolve()
        path = (top / relative).resolve()  # follows symbolic links, so that they cannot lead out either
    except (OSError, ValueError, RuntimeError) as fault:  # name too long, NUL, circle of links
        raise PictureError("picture_not_found", f"{relative!r} is not a usable path") from fault
    if not path.is_relative_to(top):
        raise PictureError("picture_outside_root", f"{relative} lies outside the feed's picture folder")
    return path


def too_many_bytes(size: int) -> PictureError:
    sentence = f"the picture's file has {size / 1e6:.0f} MB; at most {MAX_BYTES / 1e6:.0f} MB are read"
    return PictureError("picture_too_many_bytes", sentence)
