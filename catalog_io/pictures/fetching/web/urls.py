"""A URL taken apart once: what is judged is what is connected to."""

import base64
import ipaddress
import re
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit

import httpcore

from catalog_io.pictures.fetching.references import shown
from schemas.pictures import PictureError

__all__ = ["PORTS", "Target"]

PORTS = {"http": 80, "https": 443}

_MOST_CHARACTERS = 8000
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_IN_TARGET = "/%:@!$&'()*+,;=~-._?"


class Target(NamedTuple):
    """`path` has the query, quoted; `authorization` is "" where there is none."""

    scheme: str
    host: str
    port: int
    path: str
    authorization: str

    @classmethod
    def of(cls, url: str) -> "Target":
        """PictureError for what is no URL of a web server."""
        try:
            if len(url) > _MOST_CHARACTERS:
                raise ValueError("too long")
            parts = urlsplit(url)
            if (scheme := parts.scheme) not in PORTS:
                sentence = f"a picture may not be fetched from {scheme[:20]} URLs"
                raise PictureError("picture_scheme_not_allowed", sentence)
            port, host = parts.port, _host(parts.hostname or "")
            path = _LONE_PERCENT.sub("%25", f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}")
            # What is not UTF-8 in a server's answer stands there as surrogates, and goes back as it came.
            path = quote(path, safe=_IN_TARGET, errors="surrogateescape")
            authorization = ""
            if parts.username is not None:
                login = unquote_to_bytes(parts.username) + b":" + unquote_to_bytes(parts.password or "")
                authorization = "Basic " + base64.b64encode(login).decode()
        except ValueError as fault:  # also UnicodeError
            raise PictureError("picture_not_found", f"{shown(url)} is not a usable URL") from fault
        return cls(scheme, host, PORTS[scheme] if port is None else port, path, authorization)

    def redirected(self, location: str) -> "Target":
        """Where `location`, relative or not, leads; the login goes along to the same server only."""
        try:
            target = Target.of(urljoin(f"{self.scheme}://{self.authority}{self.path}", location))
        except ValueError as fault:
            raise PictureError("picture_not_found", f"{shown(location)} is not a usable URL") from fault
        secured = self[:3] == ("http", target.host, 80) and target[:3] == ("https", self.host, 443)
        same = self[:3] == target[:3] or secured
        return target._replace(authorization=self.authorization if same else "")

    @property
    def authority(self) -> str:
        """As in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> httpcore.URL:
        """As httpcore takes it."""
        return httpcore.URL(
            scheme=self.scheme.encode(), host=self.host.encode(), port=self.port, target=self.path.encode()
        )


def _host(name: str) -> str:
    if ":" in name:
        return str(ipaddress.IPv6Address(name)) if "%" not in name else _no_host()
    if len(name) > 253:  # the codec below takes time in proportion to the square
        return _no_host()
    # The dot at the end says that the name is whole; certificates do not have it.
    ascii_name = name.encode("idna").decode().lower().removesuffix(".")
    return ascii_name if _NAME.fullmatch(ascii_name) else _no_host()


def _no_host() -> str:
    raise ValueError("no host")
