"""Guesses the separator of several pictures in a cell, the folder of pictures, or a template of their paths."""

import os
import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote

_SEPARATORS = ("|", ";", "\n", ",", ", ", "; ", " ")
_URL = re.compile(r"(?:https?:)?//\S+", re.IGNORECASE)
_PICTURE_NAME = re.compile(r"[^\n]+\.(?:jpe?g|png|webp|gif|avif|bmp|tiff?|heic)", re.IGNORECASE)
_ENOUGH = 0.95  # of the cells that a separator splits: all their parts are pictures
_SCHEME = re.compile(r"[a-z][\w+.-]*:|//", re.IGNORECASE)
_FOLDERS = (
    *("images", "image", "img", "imgs", "pictures", "photos", "media", "media/catalog/product"),
    *("pub/media/catalog/product", "catalog/product", "files", "data", "product_images"),
)
_MOST_FOLDERS, _MOST_PATHS = 50, 50
_ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
_BY_ID = ("images/{id}", "image/{id}", "img/{id}", "pictures/{id}", "photos/{id}", "media/{id}", "{id}")
_BY_PREFIX = ("images/{id:.3}/{id}", "{id:.3}/{id}", "images/0{id:.2}/0{id}", "0{id:.2}/0{id}")


class Found(NamedTuple):
    """A guess, and how many of the first rows it fits."""

    value: str
    fits: int
    of: int


def guess_separator(cells: Iterable[str]) -> Found | None:
    """What separates several pictures (file names or URLs) in one cell; None where nothing does. A URL is never split:
    each part begins as a URL, or each ends as the name of a picture."""
    cells = list(cells)
    for separator in _SEPARATORS:
        several = [parts for cell in cells if len(parts := split(cell, separator)) > 1]
        fits = sum(map(_are_pictures, several))
        if several and fits >= _ENOUGH * len(several):
            return Found(separator, fits, len(several))
    return None


def split(cell: str, separator: str) -> list[str]:
    """The parts of a cell that are not empty."""
    return [part.strip() for part in cell.split(separator) if part.strip()]


def splits_urls(cells: Iterable[str], separator: str) -> int:
    """The number of cells that the separator would split although they are one picture."""
    return sum(len(parts) > 1 and not _are_pictures(parts) for parts in (split(cell, separator) for cell in cells))


def _are_pictures(parts: list[str]) -> bool:
    urls = [_URL.fullmatch(part) is not None for part in parts]
    return all(urls) or (not any("//" in part for part in parts) and all(map(_PICTURE_NAME.fullmatch, parts)))


def local_paths(cells: Iterable[str], separator: str | None) -> list[str]:
    """The first paths among the pictures that are files, not URLs, as they are below their folder."""
    paths = [part for cell in cells for part in (split(cell, separator) if separator else [cell])]
    local = [path for path in paths if not _SCHEME.match(path)][:_MOST_PATHS]
    return [path.replace("\\", "/").lstrip("/") for path in local]


def picture_folder(folder: str, paths: list[str]) -> Found:
    """The folder in or below `folder` that has most of the paths; `folder` itself where none has any."""
    below = sorted(entry.name for entry in os.scandir(folder or ".") if entry.is_dir())[:_MOST_FOLDERS]
    candidates = dict.fromkeys(["", *_FOLDERS, *below, *(f"{name}/catalog/product" for name in below)])
    best = Found(folder, 0, len(paths))
    for candidate in candidates:
        place = os.path.join(folder, candidate) if candidate else folder
        fits = sum(_is_file(place, path) for path in paths) if os.path.isdir(place or ".") else 0
        if fits > best.fits:
            best = Found(place, fits, len(paths))
    return best


def picture_template(folder: str, column: str, ids: list[str]) -> Found | None:
    """The template of picture files in or below `folder` that have the listing id as name; None: there are none."""
    best: Found | None = None
    for stem in (*_BY_ID, *_BY_PREFIX):
        for ending in _ENDINGS:
            template = f"{stem}{ending}"
            fits = sum(_is_file(folder, _filled(template, listing)) for listing in ids[:_MOST_PATHS])
            if fits > (best.fits if best else 0):
                best = Found(template.replace("{id", "{" + column), fits, len(ids[:_MOST_PATHS]))
    return best


def _filled(template: str, listing: str) -> str:
    def cut(field: re.Match[str]) -> str:
        return listing[: int(field[1])] if field[1] else listing

    return re.sub(r"\{id(?::\.(\d+))?\}", cut, template)


def _is_file(folder: str, path: str) -> bool:
    try:
        return any(os.path.isfile(os.path.join(folder, name)) for name in dict.fromkeys((path, unquote(path))))
    except ValueError:  # a NUL in the path
        return False
