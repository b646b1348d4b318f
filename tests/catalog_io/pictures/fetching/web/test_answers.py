"""What servers answer: pictures, redirects, unchanged pictures, faults, and answers that never end."""

import contextlib
import time
from dataclasses import replace
from pathlib import Path

import pytest

from catalog_io.pictures.fetching.fetched import Fetched
from catalog_io.pictures.fetching.root import PictureRoot
from schemas.pictures import PictureError
from tests.catalog_io.pictures.fetching.errors import OPEN, code_of
from tests.catalog_io.pictures.fetching.web.web_server import Server


def test_a_picture_from_the_web(root: PictureRoot, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    for _ in range(3):
        assert root.read(f"{server.url}/picture/ä b%20c%.jpg?q=ü 1#top") == Fetched(b"picture", "")
    path, headers = server.seen[0]
    assert path == "/picture/%C3%A4%20b%20c%25.jpg?q=%C3%BC%201"
    assert headers["Host"] == server.url.removeprefix("http://") and headers["User-Agent"].startswith("cma-tagger")
    assert "Authorization" not in headers and headers["Accept-Encoding"] == "identity"
    assert server.connections == 1
    assert root.read(f"{server.url}/chunked") == Fetched(b"picture", "")
    assert root.read(f"{server.url}/html") == Fetched(b"<html>sorry</html>", "")  # for `shrink` to refuse


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("status/404", "picture_http_status"),
        ("status/410", "picture_http_status"),
        ("status/403", "picture_http_status"),
        ("status/206", "picture_http_status"),
        ("status/300", "picture_http_status"),
        ("status/302", "picture_http_status"),
        ("status/500", "picture_server_error"),
        ("status/503", "picture_server_error"),
        ("status/429", "picture_server_error"),
        ("always304", "picture_http_status"),
        ("loop", "picture_too_many_redirects"),
        ("bomb", "picture_unreadable"),
        ("short", "picture_connection_failed"),
        ("claimed", "picture_too_many_bytes"),
        ("endless", "picture_too_many_bytes"),
        ("nonsense", "picture_connection_failed"),
        ("badlength", "picture_connection_failed"),
        ("headers", "picture_connection_failed"),
        ("reset", "picture_connection_failed"),
        ("redirect?http://169.254.169.254/latest/meta-data", "picture_address_not_allowed"),
        ("redirect?http://0x7f.2/", "picture_address_not_allowed"),
        ("redirect?//[::1]/", "picture_address_not_allowed"),
        ("redirect?file:///etc/passwd", "picture_scheme_not_allowed"),
        ("redirect?http://[nonsense/", "picture_not_found"),
        ("redirect?http://a..b/a.jpg", "picture_not_found"),
    ],
)
def test_servers_that_misbehave(root: PictureRoot, server: Server, path: str, code: str) -> None:
    began = time.perf_counter()
    assert code_of(lambda: root.read(f"{server.url}/{path}")) == code
    assert root.read(f"{server.url}/picture") == Fetched(b"picture", "")
    assert time.perf_counter() - began < OPEN.timeout


def test_errors_keep_the_connection(root: PictureRoot, server: Server) -> None:
    for path in ("status/404", "status/500", "redirect?/picture", "tagged"):
        with contextlib.suppress(PictureError):
            root.read(f"{server.url}/{path}", '"v1"')
    assert server.connections == 1


@pytest.mark.parametrize("path", ["drip", "dripheaders", "silent"])
def test_slow_servers_end_in_a_timeout(tmp_path: Path, server: Server, path: str) -> None:
    began = time.perf_counter()
    with PictureRoot(str(tmp_path), replace(OPEN, timeout=0.5)) as root:
        assert code_of(lambda: root.read(f"{server.url}/{path}")) == "picture_timeout"
    assert 0.4 < time.perf_counter() - began < 5


def test_no_more_than_the_announced_length_is_read(root: PictureRoot, server: Server) -> None:
    assert root.read(f"{server.url}/long") == Fetched(b"picture", "")


def test_a_server_that_closes_kept_connections(root: PictureRoot, server: Server) -> None:
    for _ in range(5):
        assert root.read(f"{server.url}/once") == Fetched(b"picture", "")


def test_an_unchanged_picture_is_not_sent_again(root: PictureRoot, server: Server) -> None:
    date = "Mon, 23 Nov 2026 10:00:00 GMT"
    for path, stamp in (("tagged", '"v1"'), ("dated", f"{date}-7"), ("unconditional", '"v1"')):
        assert root.read(f"{server.url}/{path}") == Fetched(b"picture", stamp)
        assert root.read(f"{server.url}/{path}", stamp) is None
        assert root.read(f"{server.url}/{path}", '"v0"') == Fetched(b"picture", stamp)
    assert root.read(f"{server.url}/redirect?/tagged", '"v1"') is None
    assert root.read(f"{server.url}/picture", "") == Fetched(b"picture", "")
    assert root.read(f"{server.url}/oddtag") == Fetched(b"picture", "")


def test_redirects_are_followed_up_to_the_limit(root: PictureRoot, server: Server, tmp_path: Path) -> None:
    assert root.read(f"{server.url}/redirect?redirect?/redirect?{server.url}/picture") == Fetched(b"picture", "")
    with PictureRoot(str(tmp_path), replace(OPEN, max_redirects=0)) as none:
        assert code_of(lambda: none.read(f"{server.url}/redirect?/picture")) == "picture_too_many_redirects"


def test_many_threads(root: PictureRoot, server: Server) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda n: root.read(f"{server.url}/picture/{n}"), range(100))) == {Fetched(b"picture", "")}
    assert server.connections <= 8
