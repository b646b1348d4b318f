"""Parses the URL of a picture once, so that the address check and the request cannot disagree about the host."""

import contextlib
import ipaddress
import re
import socket
from urllib.parse import quote, urljoin, urlsplit

import httpx

from catalog_io.pictures.fetching.references import WEB_SCHEMES, shown
from schemas.pictures import PictureError

_MOST_CHARACTERS = 8000
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_IN_TARGET = "/%:@!$&'()*+,;=~-._?"


def web_url(reference: str, base: str = "") -> httpx.URL:
    """The URL that `reference` names, relative to `base`; PictureError for what is no URL of a web server.

    httpx refuses some hosts that feeds have (an IDNA 2003 name, a numeric address with leading zeros), and would
    report them as unusable URLs, not as forbidden addresses. They are normalised here before httpx sees them.
    """
    try:
        if len(reference) > _MOST_CHARACTERS:
            raise ValueError("too long")
        parts = urlsplit(urljoin(base, reference))
        if parts.scheme not in WEB_SCHEMES:
            sentence = f"a picture may not be fetched from {parts.scheme[:20]} URLs"
            raise PictureError("picture_scheme_not_allowed", sentence)
        path = _LONE_PERCENT.sub("%25", f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}")
        return httpx.URL(
            scheme=parts.scheme,
            userinfo=parts.netloc.rpartition("@")[0].encode(),
            host=_host(parts.hostname or ""),
            port=parts.port,
            # Bytes of a Location header that are not UTF-8 are surrogates here, and are sent unchanged.
            raw_path=quote(path, safe=_IN_TARGET, errors="surrogateescape").encode(),
        )
    except (ValueError, httpx.InvalidURL) as fault:  # ValueError also for text that is not Unicode
        raise PictureError("picture_not_found", f"{shown(reference)} is not a usable URL") from fault


def redirected(url: httpx.URL, location: str) -> httpx.URL:
    """Where `location`, which may be relative, leads from `url`; the login is sent to the same server only."""
    target = web_url(location, str(url))
    same = (url.scheme, url.netloc) == (target.scheme, target.netloc)
    secured = (url.scheme, target.scheme, url.port) == ("http", "https", None) and url.netloc == target.netloc
    return target.copy_with(userinfo=url.userinfo if same or secured else b"")


def _host(name: str) -> str:
    """The host in lower-case ASCII, a numeric address as four decimal numbers; ValueError for what is no host."""
    if ":" in name:
        return str(ipaddress.IPv6Address(name)) if "%" not in name else _no_host()
    if len(name) > 253:  # the codec below takes time in proportion to the square
        return _no_host()
    # A final dot marks a complete name; certificates do not have it.
    ascii_name = name.encode("idna").decode().lower().removesuffix(".")
    if not _NAME.fullmatch(ascii_name):
        return _no_host()
    with contextlib.suppress(OSError):
        return socket.inet_ntoa(socket.inet_aton(ascii_name))
    return ascii_name


def _no_host() -> str:
    raise ValueError("no host")
