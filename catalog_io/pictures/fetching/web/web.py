"""Fetches pictures from web servers that are not trusted."""

import contextlib
import re
from collections.abc import Iterator

import httpcore
import httpx

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
from catalog_io.pictures.fetching.web.urls import redirected, web_url
from schemas.pictures import TRANSIENT, PictureError

_HEADERS = {"User-Agent": "cma-tagger", "Accept": "image/*,*/*;q=0.1", "Accept-Encoding": "identity"}
_REDIRECTS = (301, 302, 303, 307, 308)
_BUSY = (408, 425, 429)
_SMALL_ANSWER = 16_384
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,200}"')

_HEALTH = HostHealth()  # shared by all units of work of this process


class _CheckedTransport(httpx.HTTPTransport):
    """httpx's transport over a pool whose connections `backend` makes, for which httpx has no setting.

    The proxies that the environment names are ignored: a proxy would connect to addresses that are not checked.
    Certificates are verified against the system's store and certifi's.
    """

    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        context = httpcore.default_ssl_context()
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=128,
            max_keepalive_connections=32,
            keepalive_expiry=30,
            network_backend=backend,
        )


class Web:
    """Fetches pictures over kept connections, from any thread.

    It uses httpx's transport and not its Client, which reads the whole body of a redirect whatever its size, sends
    logins that a redirect names, keeps cookies, and logs URLs with their signatures.
    """

    def __init__(self, settings: FetchSettings, resolver: Resolver = look_up, health: HostHealth = _HEALTH) -> None:
        self._settings = settings
        self._health = health
        self._transport = _CheckedTransport(CheckedBackend(AllowedHosts(settings.allow_private), resolver))

    def fetch(self, url: str, stamp: str = "", also: tuple[str, ...] = ()) -> Fetched | None:
        """The picture at `url`, or None where it is unchanged since `stamp`. PictureError says why there is none.

        `also`: schemes that are allowed besides those of the settings.
        """
        host = web_url(url).netloc.decode()
        self._health.check(host)
        try:
            fetched = self._fetch(url, stamp, also)
        except PictureError as fault:
            self._health.note(host, answered=fault.code not in TRANSIENT)
            raise
        self._health.note(host, answered=True)
        return fetched

    def _fetch(self, url: str, stamp: str, also: tuple[str, ...]) -> Fetched | None:
        with within(self._settings.timeout), _as_picture_errors():
            target, most = web_url(url), self._settings.max_redirects
            for _ in range(most + 1):
                if target.scheme not in (*self._settings.schemes, *also):
                    sentence = f"a picture may not be fetched from {target.scheme} URLs"
                    raise PictureError("picture_scheme_not_allowed", sentence)
                with self._response(target, stamp) as response:
                    if response.status_code not in _REDIRECTS or "location" not in response.headers:
                        return self._picture(response, stamp)
                    _keep_connection(response)
                    raw = next(value for name, value in response.headers.raw if name.lower() == b"location")
                    target = redirected(target, raw.decode("utf-8", "surrogateescape"))
            raise PictureError("picture_too_many_redirects", f"the server redirects more than {most} times")

    def reach(self, url: str) -> None:
        """Raises PictureError where no web server answers at the URL, whatever its answer is."""
        with within(self._settings.timeout), _as_picture_errors(), self._response(web_url(url), ""):
            pass

    def close(self) -> None:
        """Closes the kept connections; later fetches open new ones."""
        self._transport.close()

    @contextlib.contextmanager
    def _response(self, url: httpx.URL, stamp: str) -> Iterator[httpx.Response]:
        headers = _HEADERS | {"Host": url.netloc.decode()}  # httpx's own fails for names of IDNA 2003
        if _ETAG.fullmatch(stamp):
            headers["If-None-Match"] = stamp
        elif stamp:
            headers["If-Modified-Since"] = stamp.rpartition("-")[0]
        extensions = {"timeout": {"pool": remaining()}}
        request = httpx.Request("GET", url, headers=headers, extensions=extensions)
        if url.userinfo:
            request = next(httpx.BasicAuth(url.username, url.password).auth_flow(request))
        try:
            response = self._transport.handle_request(request)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            response = self._transport.handle_request(request)  # the server may just have closed a kept connection
        try:
            yield response
        finally:
            response.close()

    def _picture(self, response: httpx.Response, stamp: str) -> Fetched | None:
        status, headers, most = response.status_code, response.headers, self._settings.max_bytes
        if status != 200:
            _keep_connection(response)
        if status == 304 and stamp:
            return None
        if status >= 500 or status in _BUSY:
            raise PictureError("picture_server_error", f"the server answers {status}: try again later")
        if status != 200:
            raise PictureError("picture_http_status", f"the server answers {status} instead of the picture")
        if (coding := headers.get("content-encoding", "identity").lower()) not in ("identity", ""):
            raise PictureError("picture_unreadable", f"the server compresses the picture as {coding}, unasked")
        length = headers.get("content-length")
        if length is not None and stamp and stamp == _stamp(headers, int(length)):
            return None
        if length is not None and int(length) > most:
            raise too_many_bytes(int(length), most)
        data = bytearray()
        for chunk in response.iter_raw():
            data += chunk
            if len(data) > most:
                raise too_many_bytes(len(data), most)
        return Fetched(bytes(data), _stamp(headers, len(data)))


def _keep_connection(response: httpx.Response) -> None:
    """Reads the rest of a small answer, so that its connection can be used again."""
    headers = response.headers
    small = int(headers.get("content-length", "0")) <= _SMALL_ANSWER and "transfer-encoding" not in headers
    if small or response.status_code == 304:
        for _ in response.iter_raw():
            pass


def _stamp(headers: httpx.Headers, length: int) -> str:
    etag: str = headers.get("etag", "")
    modified: str = headers.get("last-modified", "")
    if _ETAG.fullmatch(etag):
        return etag
    return f"{modified}-{length}" if modified.isascii() and modified.isprintable() and 0 < len(modified) < 50 else ""


@contextlib.contextmanager
def _as_picture_errors() -> Iterator[None]:
    try:
        yield
    except httpx.TimeoutException as fault:
        raise PictureError("picture_timeout", "the picture did not come in time") from fault
    except httpx.TransportError as fault:
        sentence = f"the connection to the picture's server failed: {fault}"
        raise PictureError("picture_connection_failed", sentence) from fault
