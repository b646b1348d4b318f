"""Pictures below a folder of a web server."""

from catalog_io.pictures.fetching.fetched import Fetched
from catalog_io.pictures.fetching.references import below, shown
from catalog_io.pictures.fetching.web.urls import Target
from catalog_io.pictures.fetching.web.web import Web
from schemas.pictures import PictureError

__all__ = ["Site"]


class Site:
    """The operator's own web folder. Its login and its query (a signature, as a rule) go with every request."""

    def __init__(self, root: str, web: Web) -> None:
        self._web = web
        self._folder, _, self._query = root.partition("#")[0].partition("?")
        self._folder = self._folder.rstrip("/")
        self._scheme = Target.of(root).scheme
        self._path = Target.of(self._folder).path.rstrip("/")

    def check(self) -> None:
        """PictureError where no web server answers."""
        self._web.reach(self._joined("", ""))

    def read(self, relative: str, stamp: str = "") -> Fetched | None:
        """None where the picture is unchanged since `stamp`."""
        path, _, query = relative.partition("#")[0].partition("?")
        name = below(self._path, path)
        if name is None:
            raise PictureError("picture_outside_root", f"{shown(relative)} lies outside the feed's picture folder")
        return self._web.fetch(self._joined(name, query), stamp, also=(self._scheme,))

    def _joined(self, name: str, query: str) -> str:
        both = "&".join(part for part in (query, self._query) if part)
        return f"{self._folder}/{name}" + (f"?{both}" if both else "")
