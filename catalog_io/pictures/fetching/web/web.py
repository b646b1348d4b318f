"""Pictures from web servers that nobody vouches for."""

import contextlib
import re
from collections.abc import Iterator, Mapping

import httpcore

from catalog_io.pictures.fetching.fetched import Fetched, too_many_bytes
from catalog_io.pictures.fetching.settings import FetchSettings
from catalog_io.pictures.fetching.web.addresses import (
    AllowedHosts,
    CheckedBackend,
    Resolver,
    look_up,
    remaining,
    within,
)
from catalog_io.pictures.fetching.web.hosts import HostHealth
from catalog_io.pictures.fetching.web.urls import Target
from schemas.pictures import TRANSIENT, PictureError

__all__ = ["Web"]

USER_AGENT = "cma-tagger"

_REDIRECTS = (301, 302, 303, 307, 308)
_BUSY = (408, 425, 429)
_SMALL_ANSWER = 16_384
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,200}"')

_HEALTH = HostHealth()  # one for all units of work that this process gets


class Web:
    """Fetches with kept connections, from any thread. The proxies that the environment names are ignored:

    a proxy would connect to addresses that nobody here has judged. Certificates are verified with the system's
    store and certifi's.
    """

    def __init__(self, policy: FetchSettings, resolver: Resolver = look_up, health: HostHealth = _HEALTH) -> None:
        self._policy = policy
        self._health = health
        backend = CheckedBackend(AllowedHosts(policy.allow_private), resolver)
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpcore.default_ssl_context(),
            max_connections=128,
            max_keepalive_connections=32,
            keepalive_expiry=30,
            network_backend=backend,
        )

    def fetch(self, url: str, stamp: str = "", also: tuple[str, ...] = ()) -> Fetched | None:
        """None where the picture is unchanged since `stamp`. `also`: schemes allowed besides the policy's."""
        host = Target.of(url).authority
        self._health.check(host)
        try:
            fetched = self._fetch(url, stamp, also)
        except PictureError as fault:
            self._health.note(host, answered=fault.code not in TRANSIENT)
            raise
        self._health.note(host, answered=True)
        return fetched

    def _fetch(self, url: str, stamp: str, also: tuple[str, ...]) -> Fetched | None:
        with within(self._policy.timeout), _as_picture_errors():
            target = Target.of(url)
            for _ in range(self._policy.max_redirects + 1):
                if target.scheme not in (*self._policy.schemes, *also):
                    sentence = f"a picture may not be fetched from {target.scheme} URLs"
                    raise PictureError("picture_scheme_not_allowed", sentence)
                with self._answer(target, stamp) as (response, headers):
                    if response.status in _REDIRECTS and "location" in headers:
                        _finish(response, headers)
                        target = target.redirected(headers["location"])
                    else:
                        return self._taken(response, headers, stamp)
            most = self._policy.max_redirects
            raise PictureError("picture_too_many_redirects", f"the server sends us on more than {most} times")

    def reach(self, url: str) -> None:
        """PictureError where no web server answers at the URL, whatever it says."""
        with within(self._policy.timeout), _as_picture_errors(), self._answer(Target.of(url), ""):
            pass

    def close(self) -> None:
        """Closes the kept connections."""
        self._pool.close()

    @contextlib.contextmanager
    def _answer(self, target: Target, stamp: str) -> Iterator[tuple[httpcore.Response, Mapping[str, str]]]:
        headers: dict[bytes | str, bytes | str] = {
            "Host": target.authority,
            "User-Agent": USER_AGENT,
            "Accept": "image/*,*/*;q=0.1",
            "Accept-Encoding": "identity",
        }
        if target.authorization:
            headers["Authorization"] = target.authorization
        if _ETAG.fullmatch(stamp):
            headers["If-None-Match"] = stamp
        elif stamp:
            headers["If-Modified-Since"] = stamp.rpartition("-")[0]
        request = httpcore.Request("GET", target.url, headers=headers, extensions={"timeout": {"pool": remaining()}})
        try:
            response = self._pool.handle_request(request)
        except (httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError):
            response = self._pool.handle_request(request)  # a kept connection may just have been closed
        received = {name.lower().decode("ascii"): _text(value) for name, value in reversed(response.headers)}
        try:
            yield response, received
        finally:
            response.close()

    def _taken(self, response: httpcore.Response, headers: Mapping[str, str], stamp: str) -> Fetched | None:
        if response.status != 200:
            _finish(response, headers)
        if response.status == 304 and stamp:
            return None
        if response.status >= 500 or response.status in _BUSY:
            raise PictureError("picture_server_error", f"the server answers {response.status}: try again later")
        if response.status != 200:
            raise PictureError("picture_http_status", f"the server answers {response.status} instead of the picture")
        if (coding := headers.get("content-encoding", "identity").lower()) not in ("identity", ""):
            raise PictureError("picture_unreadable", f"the server packs the picture as {coding}, unasked")
        length = headers.get("content-length")
        if length is not None and stamp and stamp == _stamp(headers, int(length)):
            return None
        if length is not None and int(length) > self._policy.max_bytes:
            raise too_many_bytes(int(length), self._policy.max_bytes)
        data = bytearray()
        for chunk in response.iter_stream():
            data += chunk
            if len(data) > self._policy.max_bytes:
                raise too_many_bytes(len(data), self._policy.max_bytes)
        return Fetched(bytes(data), _stamp(headers, len(data)))


def _finish(response: httpcore.Response, headers: Mapping[str, str]) -> None:
    """Reads the rest where it is small, so that the connection can be used again."""
    small = int(headers.get("content-length", "0")) <= _SMALL_ANSWER and "transfer-encoding" not in headers
    if small or response.status == 304:
        response.read()


def _stamp(headers: Mapping[str, str], length: int) -> str:
    etag, modified = headers.get("etag", ""), headers.get("last-modified", "")
    if _ETAG.fullmatch(etag):
        return etag
    return f"{modified}-{length}" if modified.isascii() and modified.isprintable() and 0 < len(modified) < 50 else ""


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


@contextlib.contextmanager
def _as_picture_errors() -> Iterator[None]:
    try:
        yield
    except httpcore.TimeoutException as fault:
        raise PictureError("picture_timeout", "the picture did not come in time") from fault
    except (httpcore.NetworkError, httpcore.ProtocolError) as fault:
        sentence = f"the connection to the picture's server failed: {fault}"
        raise PictureError("picture_connection_failed", sentence) from fault
