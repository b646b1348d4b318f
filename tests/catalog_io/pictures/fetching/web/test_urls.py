"""URLs that cannot be used, and schemes that are not allowed."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_io.pictures.fetching.root import PictureRoot
from catalog_io.pictures.fetching.settings import FetchSettings
from catalog_io.pictures.fetching.web.web import Web
from schemas.pictures import PictureError
from tests.catalog_io.pictures.fetching.errors import OPEN, code_of
from tests.catalog_io.pictures.fetching.web.web_server import Server


def test_schemes_that_are_not_allowed(tmp_path: Path, server: Server) -> None:
    with PictureRoot(str(tmp_path), replace(OPEN, schemes=("https",))) as root:
        assert code_of(lambda: root.read(f"{server.url}/picture")) == "picture_scheme_not_allowed"
    with PictureRoot(str(tmp_path), replace(OPEN, schemes=())) as root:
        assert code_of(lambda: root.read("https://example.com/picture")) == "picture_scheme_not_allowed"
    assert server.seen == []


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://", "picture_not_found"),
        ("http:///a.jpg", "picture_not_found"),
        ("http:a.jpg", "picture_not_found"),
        ("http://@/", "picture_not_found"),
        ("http://:80/", "picture_not_found"),
        ("http://./", "picture_not_found"),
        ("http://a..b/", "picture_not_found"),
        ("http://127.0.0.1:99999/", "picture_not_found"),
        ("http://127.0.0.1:x/", "picture_not_found"),
        ("http://127.0.0.1:-1/", "picture_not_found"),
        ("http://127.0.0.1:0/", "picture_connection_failed"),
        ("http://[::1/", "picture_not_found"),
        ("http://[fe80::1%25eth0]/", "picture_not_found"),
        ("http://%31%32%37.0.0.1/", "picture_not_found"),
        ("http://a b/", "picture_not_found"),
        ("http://a\nb/", "picture_host_unknown"),
        ("http://\udc80/", "picture_not_found"),
        ("http://127.0.0.1/\udfff\ud800", "picture_not_found"),
        ("http://" + "a" * 64 + ".example/", "picture_not_found"),
        ("http://" + "a." * 300 + "example/", "picture_not_found"),
        ("http://" + "ü" * 100_000, "picture_not_found"),
        ("http://bücher.invalid/", "picture_host_unknown"),
        ("http://no_such-host.invalid/ä ö", "picture_host_unknown"),
        ("http://127.0.0.1/" + "x" * 10_000, "picture_not_found"),
        ("http://u:pa55@127.0.0.1:1/", "picture_connection_failed"),
    ],
)
def test_odd_urls_reach_the_server_or_name_their_fault(root: PictureRoot, url: str, code: str) -> None:
    assert code_of(lambda: root.read(url)) == code


@given(st.text())
def test_any_url_gives_a_picture_error(text: str) -> None:
    web = ANY_WEB
    for url in (f"http://{text}", f"https://host.invalid{text}", f"http://host.invalid/{text}", text):
        with pytest.raises(PictureError):
            web.fetch(url)


def nowhere(host: str, port: int) -> list[str]:
    raise OSError("no host")


ANY_WEB = Web(FetchSettings(), nowhere)
