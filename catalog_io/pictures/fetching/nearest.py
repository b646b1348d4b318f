"""Finds the file whose name is almost that of a picture which does not exist, for the message about it."""

import os
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

_MOST_FILES = 2_000  # of a folder, that are looked at
_LAST_PART = re.compile(r"[?#][^/]*$")


def nearest(folder: Path, spelling: str) -> str | None:
    """A path below the folder that differs from the spelling in capitals, in + for a blank, in quotation marks, in what
    follows # or ?, or in the ending; None where there is none, or several."""
    parts = _LAST_PART.sub("", spelling.strip("'\"` ")).split("/")
    return _nearest(folder, folder, parts)


def _nearest(top: Path, here: Path, parts: Sequence[str]) -> str | None:
    try:
        if not here.resolve().is_relative_to(top):
            return None
        names = _names(str(here), here.stat().st_mtime_ns)
    except (OSError, ValueError, RuntimeError):
        return None
    first, *rest = parts
    found = {first} if first in names.get(_loose(first), ()) else names.get(_loose(first), set())
    if not found and not rest:
        stem = _loose(os.path.splitext(first)[0])
        found = {name for loose in (stem, *_with_endings(stem)) for name in names.get(loose, ())}
    if len(found) != 1:
        return None
    (name,) = found
    if not rest:
        return name
    below = _nearest(top, here / name, rest)
    return below and f"{name}/{below}"


def _with_endings(stem: str) -> list[str]:
    return [f"{stem}.{ending}" for ending in ("jpg", "jpeg", "png", "webp", "gif", "avif", "bmp", "heic")]


@lru_cache(maxsize=64)
def _names(folder: str, changed: int) -> dict[str, set[str]]:
    """The names in a folder, by what they have in common with similar ones. `changed` keeps the cache fresh."""
    names: dict[str, set[str]] = {}
    with os.scandir(folder) as entries:
        for entry in islice(entries, _MOST_FILES):
            names.setdefault(_loose(entry.name), set()).add(entry.name)
    return names


def _loose(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold().replace("+", " ")
