"""The picture that a feed's row refers to: a file of the feed's folder or store, or a URL."""

import re
import threading
from typing import Self

from catalog_io.pictures.fetching.fetched import Fetched
from catalog_io.pictures.fetching.folder import Folder
from catalog_io.pictures.fetching.object_store import Store
from catalog_io.pictures.fetching.references import scheme_of
from catalog_io.pictures.fetching.settings import FetchSettings
from catalog_io.pictures.fetching.web.site import Site
from catalog_io.pictures.fetching.web.urls import PORTS
from catalog_io.pictures.fetching.web.web import Web
from schemas.errors import UserError
from schemas.pictures import PictureError
from schemas.secrets import redacted

_LIKE_A_PAGE = re.compile(r"//[^/?#]*\.[^/?#]*/")  # a URL without its scheme, as web pages have them


class PictureRoot:
    """A feed's picture root: a local folder, or a URI that relative references are joined below.

    Rows are not trusted. They reach what lies below the root, with the operator's credentials, and URLs of the
    policy's schemes at public addresses, with none. Thread-safe.
    """

    def __init__(self, root: str, policy: FetchSettings) -> None:
        self._root = root
        self._policy = policy
        self._scheme = scheme_of(root)
        is_local = self._scheme in (None, "file")
        self._folder = Folder(root.removeprefix("file://"), policy.max_bytes) if is_local else None
        self._prefixes = () if is_local else _prefixes(root)
        self._lock = threading.Lock()
        self._opened_web: Web | None = None
        self._opened_place: Folder | Store | Site | None = self._folder

    def check(self) -> None:
        """UserError where the root does not exist or cannot be reached."""
        try:
            self._place().check()
        except PictureError as fault:
            raise UserError(f"{redacted(self._root)}: cannot be reached: {fault.sentence}") from fault

    def stamp(self, uri: str) -> str | None:
        """For a local file, changes when it does, "" where there is none; None for anything remote. One stat."""
        if self._folder is None or scheme_of(uri) or _LIKE_A_PAGE.match(uri):
            return None
        return self._folder.stamp(uri)

    def read(self, uri: str, stamp: str = "") -> Fetched | None:
        """None where the picture is unchanged since `stamp`, which an earlier read has given; or PictureError."""
        if not uri:
            raise PictureError("picture_not_found", "the listing names no picture")
        if _LIKE_A_PAGE.match(uri):
            uri = f"https:{uri}"
        scheme = scheme_of(uri)
        if scheme is None:
            return self._place().read(uri, stamp)
        if prefix := next((prefix for prefix in self._prefixes if uri.startswith(prefix)), None):
            return self._place().read(uri.removeprefix(prefix), stamp)
        if scheme in PORTS and scheme in self._policy.schemes:
            return self._web().fetch(uri, stamp)
        if scheme == self._scheme and self._folder is None and scheme not in PORTS:
            raise PictureError("picture_outside_root", "the picture lies outside the feed's picture folder")
        raise PictureError("picture_scheme_not_allowed", f"a picture may not be named by {scheme[:20]} URLs")

    def close(self) -> None:
        """Closes connections; the root can be used again."""
        with self._lock:
            if self._opened_web:
                self._opened_web.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _web(self) -> Web:
        with self._lock:
            self._opened_web = self._opened_web or Web(self._policy)
            return self._opened_web

    def _place(self) -> Folder | Store | Site:
        if self._opened_place is None:
            place = Site(self._root, self._web()) if self._scheme in PORTS else Store(self._root, self._policy)
            with self._lock:
                self._opened_place = self._opened_place or place
        return self._opened_place


def _prefixes(root: str) -> tuple[str, ...]:
    """What a URI below the root begins with: the root with its login, and without."""
    scheme, _, rest = root.partition("#")[0].partition("?")[0].rstrip("/").partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{rest}/", f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}/"
