"""Reads pictures below a folder of a web server."""

from catalog_io.pictures.fetching.fetched import Fetched
from catalog_io.pictures.fetching.references import below, shown
from catalog_io.pictures.fetching.web.urls import web_url
from catalog_io.pictures.fetching.web.web import Web
from schemas.pictures import PictureError


class Site:
    """The operator's own web folder. Its login and its query (often a signature) are sent with every request."""

    def __init__(self, root: str, web: Web) -> None:
        self._web = web
        self._folder, _, self._query = root.partition("#")[0].partition("?")
        self._folder = self._folder.rstrip("/")
        url = web_url(self._folder)
        self._scheme, self._path = url.scheme, url.raw_path.decode().rstrip("/")

    def check(self) -> None:
        """Raises PictureError where no web server answers."""
        self._web.reach(self._joined("", ""))

    def read(self, relative: str, stamp: str = "") -> Fetched | None:
        """The picture at a path below the folder; None where it is unchanged since `stamp`."""
        path, _, query = relative.partition("#")[0].partition("?")
        name = below(self._path, path)
        if name is None:
            raise PictureError("picture_outside_root", f"{shown(relative)} lies outside the feed's picture folder")
        return self._web.fetch(self._joined(name, query), stamp, also=(self._scheme,))

    def _joined(self, name: str, query: str) -> str:
        both = "&".join(part for part in (query, self._query) if part)
        return f"{self._folder}/{name}" + (f"?{both}" if both else "")
