"""Reads the picture that a row of a feed refers to, from the feed's folder or store, or from the web."""

import re
import threading
from typing import TYPE_CHECKING, Self

from catalog_io.pictures.fetching.fetched import Fetched
from catalog_io.pictures.fetching.folder import Folder
from catalog_io.pictures.fetching.object_store import Store
from catalog_io.pictures.fetching.references import WEB_SCHEMES, scheme_of, shown
from catalog_io.pictures.fetching.settings import FetchSettings
from schemas.cells.invisible import without_invisible
from schemas.cells.literals import parsed
from schemas.cells.spreadsheets import is_error, is_formula
from schemas.errors import UserError
from schemas.pictures import TRANSIENT, PictureError
from schemas.secrets import redacted

if TYPE_CHECKING:
    from catalog_io.pictures.fetching.web.site import Site
    from catalog_io.pictures.fetching.web.web import Web

_LIKE_A_PAGE = re.compile(r"//[^/?#]*\.[^/?#]*/")  # a URL without its scheme, as web pages write it


class PictureRoot:
    """A feed's picture root: a local folder, an object store's, or a web server's.

    Rows are not trusted. They reach what lies below the root, with the operator's credentials, and URLs of the
    allowed schemes at public addresses, without credentials. Thread-safe.
    """

    def __init__(self, root: str, settings: FetchSettings) -> None:
        self._root = root
        self._settings = settings
        self._scheme = scheme_of(root)
        is_local = self._scheme in (None, "file")
        self._folder = Folder(root.removeprefix("file://"), settings.max_bytes) if is_local else None
        self._prefixes = () if is_local else _prefixes(root)
        self._lock = threading.Lock()
        self._opened_web: Web | None = None
        self._opened_place: Folder | Store | Site | None = self._folder

    def check(self) -> None:
        """Raises UserError where the root does not exist or cannot be reached."""
        try:
            self._place().check()
        except PictureError as fault:
            raise UserError(f"{redacted(self._root)}: cannot be reached: {fault.sentence}") from fault

    def stamp(self, uri: str) -> str | None:
        """A local file's stamp, which changes when the file does ("" where there is none); None for anything remote."""
        if self._folder is None or scheme_of(uri) or _LIKE_A_PAGE.match(uri):
            return None
        return self._folder.stamp(uri)

    def read(self, uri: str, stamp: str = "") -> Fetched | None:
        """The picture, or None where it is unchanged since `stamp` of an earlier read; PictureError says what fails."""
        if not uri:
            raise PictureError("picture_not_found", "the listing names no picture")
        if _LIKE_A_PAGE.match(uri):
            uri = f"https:{uri}"
        scheme = scheme_of(uri)
        if (sentence := _no_reference(uri, scheme)) is not None:
            raise PictureError("picture_cell_unreadable", sentence)
        if scheme is None:
            return self._folder.read(uri, stamp) if self._folder else self._read_remote(uri, stamp)
        uri = without_invisible(uri)
        if prefix := next((prefix for prefix in self._prefixes if uri.startswith(prefix)), None):
            return self._place().read(uri.removeprefix(prefix), stamp)
        if scheme in WEB_SCHEMES and scheme in self._settings.schemes:
            return self._web().fetch(uri, stamp)
        if scheme == self._scheme and self._folder is None and scheme not in WEB_SCHEMES:
            raise PictureError("picture_outside_root", "the picture lies outside the feed's picture folder")
        hint = "; write the path from the folder of pictures on" if scheme == "file" else ""
        raise PictureError("picture_scheme_not_allowed", f"a picture may not be named by {scheme[:20]} URLs{hint}")

    def _read_remote(self, path: str, stamp: str) -> Fetched | None:
        """The picture at a path, or at the path without a leading slash, backslashes and invisible characters."""
        try:
            return self._place().read(path, stamp)
        except PictureError as fault:
            other = without_invisible(path).replace("\\", "/").lstrip("/")
            if other == path or fault.code not in ("picture_not_found", "picture_outside_root", "picture_http_status"):
                raise
            try:
                return self._place().read(other, stamp)
            except PictureError as second:
                raise (second if second.code in TRANSIENT else fault) from second

    def close(self) -> None:
        """Closes connections; the root can be used again."""
        with self._lock:
            if self._opened_web:
                self._opened_web.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _web(self) -> "Web":
        from catalog_io.pictures.fetching.web.web import Web  # the HTTP stack, which most runs do not need

        with self._lock:
            self._opened_web = self._opened_web or Web(self._settings)
            return self._opened_web

    def _place(self) -> "Folder | Store | Site":
        if self._opened_place is None:
            if self._scheme in WEB_SCHEMES:
                from catalog_io.pictures.fetching.web.site import Site

                place: Store | Site = Site(self._root, self._web())
            else:
                place = Store(self._root, self._settings)
            with self._lock:
                self._opened_place = self._opened_place or place
        return self._opened_place


def _no_reference(uri: str, scheme: str | None) -> str | None:
    """Why a cell can name no picture; None where it can."""
    if is_formula(uri):
        return f"the cell has a formula of a spreadsheet, {shown(uri, 80)}; export the values of the cells"
    if is_error(uri):
        return f"the cell has an error of a spreadsheet, {shown(uri, 80)}; correct the cell and export again"
    if scheme is None and uri[0] in "[{" and (uri[-1] == "…" or parsed(uri) is not None):
        keys = "no key that names a picture, such as url, src or path; map one of its keys, such as image.KEY"
        return f"the cell has an object or a list with {keys}: {shown(uri, 80)}"
    return None


def _prefixes(root: str) -> tuple[str, ...]:
    """The beginnings of a URI below the root: the root with its login, and without."""
    scheme, _, rest = root.partition("#")[0].partition("?")[0].rstrip("/").partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{rest}/", f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}/"
