"""Other ways to write the path of a picture: as Windows, web pages and shops write it."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from urllib.parse import unquote

from schemas.cells.invisible import visible

_MOST_CHARACTERS = 1024
_QUERY = re.compile(r"\?[^/\\]*$")
_QUOTED = re.compile(r"%[0-9A-Fa-f]{2}")
_DRIVE = re.compile(r"([A-Za-z]):[\\/]")
# Each changes a path as little as it can, and is tried with and without those before it.
_REPAIRS: tuple[Callable[[str], str], ...] = (
    visible,
    lambda path: path.replace("\\", "/"),
    lambda path: _QUERY.sub("", path),
    lambda path: unquote(path, errors="surrogateescape") if _QUOTED.search(path) else path,
)


def spellings(reference: str, folder: str) -> Iterator[str]:
    """Relative paths below the absolute path `folder` that a reference may mean, those nearest to it first. None has
    `..` in it."""
    if len(reference) > _MOST_CHARACTERS:
        return
    written = [reference]
    for repair in _REPAIRS:
        written += [repaired for path in written if (repaired := repair(path)) != path]
    top = [part for part in folder.split("/") if part]
    seen: set[str] = set()
    for path in written:
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if not parts or ".." in parts:
            continue
        doubled = [parts[n:] for n in range(len(parts) - 1, 0, -1) if parts[:n] == top[-n:]]
        for kept in (parts, *doubled):
            spelling = "/".join(kept)
            if spelling not in seen:
                seen.add(spelling)
                yield spelling


def unicode_forms(name: str) -> tuple[str, ...]:
    """The name, and its other forms in Unicode: one letter with an accent, or a letter and an accent."""
    if name.isascii():
        return (name,)
    return tuple(dict.fromkeys((name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD")))))


def likely_cause(reference: str) -> str | None:
    """Why a path can be of no use on this computer, as the end of a sentence about it; None where nothing shows."""
    if drive := _DRIVE.match(reference):
        return f"is a path on drive {drive[1].upper()}: of a Windows computer; write it from the folder of pictures on"
    if reference.startswith("\\\\"):
        return "is a path of a Windows network; write it from the folder of pictures on"
    if reference.startswith("~"):
        return "is a path in somebody's home folder; write it from the folder of pictures on"
    return None
