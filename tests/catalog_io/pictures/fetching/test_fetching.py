import contextlib
import os
import pickle
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_io.pictures.fetching.fetched import Fetched
from catalog_io.pictures.fetching.references import below, picture_key
from catalog_io.pictures.fetching.root import PictureRoot
from catalog_io.pictures.fetching.settings import FetchSettings
from catalog_io.pictures.fetching.web.addresses import AllowedHosts
from catalog_io.pictures.fetching.web.hosts import HostHealth
from catalog_io.pictures.fetching.web.web import Web
from schemas.errors import UserError
from schemas.pictures import TRANSIENT, PictureError

OPEN = FetchSettings(allow_private=("127.0.0.1",), max_bytes=100_000, timeout=5)


def code_of(read: Callable[[], object]) -> str:
    with pytest.raises(PictureError) as fault:
        read()
    assert "pa55" not in fault.value.sentence
    return fault.value.code


# Files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub.jpg").mkdir(parents=True)
    (root / "a.jpg").write_bytes(b"picture")
    (root / "C:\\pics\\a.jpg").write_bytes(b"picture")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (root / "out.jpg").symlink_to("../secret.jpg")
    (root / "outside").symlink_to(tmp_path)
    (root / "in.jpg").symlink_to("a.jpg")
    (root / "circle.jpg").symlink_to("circle.jpg")
    os.mkfifo(root / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind(str(root / "s.jpg"))
    return root


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("", "picture_not_found"),
        ("none.jpg", "picture_not_found"),
        ("a.jpg/b.jpg", "picture_not_found"),
        ("circle.jpg", "picture_not_found"),
        ("nul\0.jpg", "picture_not_found"),
        ("half a letter \udc80.jpg", "picture_not_found"),
        ("x" * 5000, "picture_not_found"),
        ("../secret.jpg", "picture_outside_root"),
        ("sub.jpg/../../secret.jpg", "picture_outside_root"),
        ("../root2/a.jpg", "picture_outside_root"),
        ("/etc/passwd", "picture_outside_root"),
        ("out.jpg", "picture_outside_root"),
        ("outside/secret.jpg", "picture_outside_root"),
        ("sub.jpg", "picture_not_a_file"),
        (".", "picture_not_a_file"),
        ("pipe.jpg", "picture_not_a_file"),
        ("s.jpg", "picture_not_a_file"),
        ("file:///etc/passwd", "picture_scheme_not_allowed"),
        ("FILE:/etc/passwd", "picture_scheme_not_allowed"),
        ("data:image/png;base64,AAAA", "picture_scheme_not_allowed"),
        ("ftp://u:pa55@example.com/a.jpg", "picture_scheme_not_allowed"),
        ("gopher://example.com/a.jpg", "picture_scheme_not_allowed"),
        ("s3://bucket/a.jpg", "picture_scheme_not_allowed"),
        ("simplecache::s3://bucket/a.jpg", "picture_scheme_not_allowed"),
    ],
)
def test_references_that_are_no_file(folder: Path, uri: str, code: str) -> None:
    assert code_of(lambda: PictureRoot(str(folder), OPEN).read(uri)) == code


def test_files_below_the_root(folder: Path) -> None:
    root = PictureRoot(str(folder), OPEN)
    for uri in ("a.jpg", "./sub.jpg/../a.jpg", "in.jpg", str(folder / "a.jpg"), "C:\\pics\\a.jpg"):
        fetched = root.read(uri)
        assert fetched == Fetched(b"picture", root.stamp(uri) or "none")
        assert root.read(uri, fetched.stamp) is None
    assert PictureRoot(f"file://{folder}", OPEN).read("a.jpg") == root.read("a.jpg")
    root.check()


def test_a_stamp_changes_with_the_file(folder: Path) -> None:
    root = PictureRoot(str(folder), OPEN)
    before = root.stamp("a.jpg")
    assert before == root.stamp("a.jpg") and before
    os.utime(folder / "a.jpg", ns=(1, 1))
    assert root.stamp("a.jpg") == "1-7" != before
    assert root.read("a.jpg", before) == Fetched(b"picture", "1-7")
    for uri in ("", "none.jpg", "sub.jpg", "pipe.jpg", "nul\0", "x" * 5000, "half \udc80"):
        assert root.stamp(uri) == ""
    for uri in ("https://example.com/a.jpg", "s3://bucket/a.jpg"):
        assert root.stamp(uri) is None
    assert PictureRoot("https://example.com/", OPEN).stamp("a.jpg") is None


def test_too_large_a_file_is_not_read(folder: Path) -> None:
    with open(folder / "huge.jpg", "wb") as file:
        file.truncate(100_001)
    assert code_of(lambda: PictureRoot(str(folder), OPEN).read("huge.jpg")) == "picture_too_many_bytes"


@pytest.mark.parametrize(
    ("root", "words"),
    [
        ("/no/such/folder", "there is no such folder"),
        ("nonsense://u:pa55@host/x", "cannot be opened"),
        ("http://u:pa55@127.0.0.2:1/", "not public"),
        ("http://u:pa55@127.0.0.1:1/", "connection"),
        ("http://no.such.host.invalid/", "no host"),
        ("http://[nonsense/", "not a usable URL"),
        ("memory://none/", "there is no such folder"),
    ],
)
def test_roots_that_cannot_be_used(root: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as fault:
        PictureRoot(root, OPEN).check()
    assert "pa55" not in str(fault.value)


def test_a_root_whose_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    def missing(*_: object, **__: object) -> None:
        raise ImportError("Install gcsfs to access Google Storage")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(UserError, match=r"cma-tagger\[gs\]"):
        PictureRoot("gs://bucket/x", OPEN).check()


@given(
    st.text()
    | st.lists(st.sampled_from(["..", ".", "a", "", "%2e%2e", "%252e%252e", "..\\", "%2f", "/"])).map("/".join)
)
def test_nothing_leads_out(path: str) -> None:
    name = below("/top", path)
    if name is not None:
        for decoded in (name, name.replace("%252e", ".").replace("%2e", ".").replace("%2f", "/")):
            assert os.path.normpath(f"/top/{decoded}".replace("\\", "/")).startswith("/top")


def test_names_in_stores() -> None:
    assert below("/x", "a/./b/../c.jpg") == "a/c.jpg"
    assert below("/x", "/x/a.jpg") == below("/x/", "a.jpg") == "a.jpg"
    assert below("", "//evil/a.jpg") == "/evil/a.jpg"
    assert below("/x", "a//b%20c%.jpg") == "a//b%20c%.jpg"
    for path in (
        "/y/a.jpg",
        "/xy/a.jpg",
        "..",
        "%2E%2e/a",
        "a/..%2f..%2fb",
        "..%5cb",
        "a%2fb/../../c",
        "%25252e%25252e/a",
    ):
        assert below("/x", path) is None


# Keys


def test_keys() -> None:
    assert picture_key("a.jpg") == "cde2f4fce9daad975ab1202fd69b5951"
    assert len(picture_key("a.jpg")) == 32 and picture_key("a.jpg") != picture_key("A.jpg")
    plain = "https://cdn.example/a.jpg"
    for same in (
        "https://ann:pa55@cdn.example/a.jpg",
        plain + "?X-Amz-Algorithm=A&X-Amz-Signature=b&x-amz-date=3",
        plain + "?X-Goog-Signature=b",
        plain + "?Expires=3&Signature=b&Key-Pair-Id=K",
        plain + "?AWSAccessKeyId=K&Signature=b&Expires=3",
        plain + "?sv=2022&sr=b&sp=r&se=2026&sig=x%3D",
    ):
        assert picture_key(same) == picture_key(plain)
    signed = plain + "?w=3&sv=1&sig=x"
    assert picture_key(signed) == picture_key(plain + "?w=3") != picture_key(plain)
    for other in ("?Expires=3", "?Signature=b", "?se=1", "?sig=1", "?token=a", "#top"):
        assert picture_key(plain + other) != picture_key(plain)


@given(st.text(), st.text())
def test_keys_are_stable_for_any_text(user: str, rest: str) -> None:
    assert picture_key(rest) == picture_key(rest) and len(picture_key(f"https://{rest}")) == 32
    user = user.translate({ord(letter): None for letter in "/\\?#"})
    assert picture_key(f"https://{user}@cdn.example/{rest}") == picture_key(f"https://cdn.example/{rest}")


def test_keys_of_paths_are_fast() -> None:
    began = time.perf_counter()
    for _ in range(50_000):
        picture_key("images/0111586001.jpg")
    assert time.perf_counter() - began < 1  # 1 µs each, as a rule; room for a busy machine


# Addresses

PRIVATE = [
    *("127.0.0.1", "127.9.9.9", "0.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("100.100.100.200", "192.0.0.192", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("168.63.129.16", "192.88.99.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1"),
    *("ff02::1", "::ffff:127.0.0.1", "::ffff:a00:1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    *("64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
    *("2001:db8::1", "3fff::1", "100::1", "5f00::1", "4000::1", "nonsense", ""),
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses(address: str) -> None:
    assert not AllowedHosts(()).allow("host", address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"]
)
def test_public_addresses(address: str) -> None:
    assert AllowedHosts(()).allow("host", address)


def test_addresses_that_the_operator_allows() -> None:
    hosts = AllowedHosts(("pictures.internal", "10.1.0.0/16", "127.0.0.1", "[fd00::1]", "10.2.3.4/24"))
    assert hosts.allow("Pictures.Internal.", "192.168.0.1")
    assert not hosts.allow("x.pictures.internal", "192.168.0.1")
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "127.0.0.1", "fd00::1", "10.2.3.99"):
        assert hosts.allow("any", address)
    for address in ("10.9.0.1", "127.0.0.2", "fd00::2"):
        assert not hosts.allow("any", address)


# The web


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        name = self.path.lstrip("/").partition("?")[0].partition("/")[0]
        getattr(self, f"say_{name}", self.say_picture)()

    def answer(self, status: int, body: bytes = b"picture", length: int | None = None, **headers: str) -> None:
        with contextlib.suppress(OSError):
            self.send_response(status)
            for header, value in headers.items():
                self.send_header(header.replace("_", "-"), value)
            if length != -1:
                self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body)

    def say_picture(self) -> None:
        self.answer(200)

    def say_status(self) -> None:
        self.answer(int(self.path.rpartition("/")[2]))

    def say_redirect(self) -> None:
        self.answer(302, b"", Location=unquote(self.path.partition("?")[2]))

    def say_loop(self) -> None:
        self.answer(301, b"", Location="/loop")

    def say_tagged(self) -> None:
        known = self.headers.get("If-None-Match") == '"v1"'
        self.answer(304 if known else 200, b"" if known else b"picture", ETag='"v1"', Last_Modified="yesterday")

    def say_dated(self) -> None:
        known = self.headers.get("If-Modified-Since") == "Mon, 23 Nov 2026 10:00:00 GMT"
        self.answer(304 if known else 200, b"" if known else b"picture", Last_Modified="Mon, 23 Nov 2026 10:00:00 GMT")

    def say_unconditional(self) -> None:
        self.answer(200, ETag='"v1"')

    def say_always304(self) -> None:
        self.answer(304, b"")

    def say_oddtag(self) -> None:
        self.answer(200, ETag='"' + "x" * 3000 + '"')

    def say_html(self) -> None:
        self.answer(200, b"<html>sorry</html>", Content_Type="text/html")

    def say_bomb(self) -> None:
        self.answer(200, b"\x1f\x8b" + bytes(1000), Content_Encoding="gzip")

    def say_short(self) -> None:
        self.close_connection = True
        self.answer(200, b"picture", length=500)

    def say_long(self) -> None:
        self.close_connection = True
        self.answer(200, b"picture and more", length=7)

    def say_claimed(self) -> None:
        self.close_connection = True
        self.answer(200, b"picture", length=100_001)

    def say_nonsense(self) -> None:
        self.close_connection = True
        self.wfile.write(b"\0\1\2 nonsense\r\n\r\n")

    def say_badlength(self) -> None:
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc")

    def say_endless(self) -> None:
        self.close_connection = True
        self.answer(200, b"", length=-1)
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(bytes(20_000))

    def say_chunked(self) -> None:
        self.answer(200, b"", length=-1, Transfer_Encoding="chunked")
        self.wfile.write(b"4\r\npict\r\n3\r\nure\r\n0\r\n\r\n")

    def say_headers(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while True:
                self.wfile.write(b"X-A: %s\r\n" % (b"x" * 1000))

    def say_drip(self) -> None:
        self.close_connection = True
        self.answer(200, b"", length=1000)
        self.drip()

    def say_dripheaders(self) -> None:
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-A: ")
        self.drip()

    def drip(self) -> None:
        with contextlib.suppress(OSError):
            while not self.server.over.wait(0.1):
                self.wfile.write(b"x")
                self.wfile.flush()

    def say_silent(self) -> None:
        self.close_connection = True
        self.server.over.wait(10)

    def say_reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def say_once(self) -> None:
        """Closes the connection without a word after each answer."""
        self.answer(200)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.connections = 0
        self.over = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def get_request(self) -> Any:
        self.connections += 1
        return super().get_request()

    def handle_error(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.over.set()
        server.shutdown()


@pytest.fixture
def root(tmp_path: Path) -> Iterator[PictureRoot]:
    with PictureRoot(str(tmp_path), OPEN) as root:
        yield root


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


def test_what_is_worth_another_try() -> None:
    assert "picture_server_error" in TRANSIENT and "picture_http_status" not in TRANSIENT


@pytest.mark.parametrize("path", ["drip", "dripheaders", "silent"])
def test_slow_servers(tmp_path: Path, server: Server, path: str) -> None:
    began = time.perf_counter()
    with PictureRoot(str(tmp_path), replace(OPEN, timeout=0.5)) as root:
        assert code_of(lambda: root.read(f"{server.url}/{path}")) == "picture_timeout"
    assert 0.4 < time.perf_counter() - began < 5


def test_more_than_the_length_said_is_not_read(root: PictureRoot, server: Server) -> None:
    assert root.read(f"{server.url}/long") == Fetched(b"picture", "")


def test_a_server_that_closes_kept_connections(root: PictureRoot, server: Server) -> None:
    for _ in range(5):
        assert root.read(f"{server.url}/once") == Fetched(b"picture", "")


def test_unchanged_pictures(root: PictureRoot, server: Server) -> None:
    date = "Mon, 23 Nov 2026 10:00:00 GMT"
    for path, stamp in (("tagged", '"v1"'), ("dated", f"{date}-7"), ("unconditional", '"v1"')):
        assert root.read(f"{server.url}/{path}") == Fetched(b"picture", stamp)
        assert root.read(f"{server.url}/{path}", stamp) is None
        assert root.read(f"{server.url}/{path}", '"v0"') == Fetched(b"picture", stamp)
    assert root.read(f"{server.url}/redirect?/tagged", '"v1"') is None
    assert root.read(f"{server.url}/picture", "") == Fetched(b"picture", "")
    assert root.read(f"{server.url}/oddtag") == Fetched(b"picture", "")


def test_redirects(root: PictureRoot, server: Server, tmp_path: Path) -> None:
    assert root.read(f"{server.url}/redirect?redirect?/redirect?{server.url}/picture") == Fetched(b"picture", "")
    with PictureRoot(str(tmp_path), replace(OPEN, max_redirects=0)) as none:
        assert code_of(lambda: none.read(f"{server.url}/redirect?/picture")) == "picture_too_many_redirects"


def test_a_login_goes_to_its_own_server_only(root: PictureRoot, server: Server) -> None:
    with Server() as other:
        threading.Thread(target=other.serve_forever, args=(0.02,), daemon=True).start()
        login = server.url.replace("//", "//ann:pa%3A55@")
        root.read(f"{login}/redirect?/redirect?{other.url}/picture")
        assert [headers.get("Authorization") for _, headers in server.seen] == ["Basic YW5uOnBhOjU1"] * 2
        assert [headers.get("Authorization") for _, headers in other.seen] == [None]
        root.read(f"{server.url}/redirect?{other.url.replace('//', '//bob:x@')}/picture")
        assert other.seen[-1][1].get("Authorization") is None
        other.shutdown()


def test_schemes_that_are_not_allowed(tmp_path: Path, server: Server) -> None:
    with PictureRoot(str(tmp_path), replace(OPEN, schemes=("https",))) as root:
        assert code_of(lambda: root.read(f"{server.url}/picture")) == "picture_scheme_not_allowed"
    with PictureRoot(str(tmp_path), replace(OPEN, schemes=())) as root:
        assert code_of(lambda: root.read("https://example.com/picture")) == "picture_scheme_not_allowed"
    assert server.seen == []


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.2/", "http://2130706434/", "http://0x7f.2/", "http://0177.0.0.2/", "http://127.2/"),
        *("http://[::1]/", "http://[::ffff:127.0.0.2]/", "http://localhost/", "http://LOCALHOST./", "http://0/"),
        *(
            "http://good.example@127.0.0.2/",
            "http://good.example\\@127.0.0.2/",
            "https://127.0.0.2/",
            "http://①②⑦.0.0.2/",
        ),
    ],
)
def test_ways_to_write_a_private_address(url: str, tmp_path: Path) -> None:
    with PictureRoot(str(tmp_path), FetchSettings()) as root:
        assert code_of(lambda: root.read(url)) == "picture_address_not_allowed"


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
def test_odd_urls(root: PictureRoot, url: str, code: str) -> None:
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


def test_a_name_that_changes_its_address(server: Server) -> None:
    """DNS rebinding: the address that was judged is the one that is connected to, and one bad address is enough."""
    answers = [["127.0.0.1"], ["169.254.169.254"], ["127.0.0.1", "10.0.0.1"], [], ["8.8.8.8", "::1"]]
    codes = ["picture_address_not_allowed"] * 2 + ["picture_host_unknown", "picture_address_not_allowed"]
    url = f"http://shop.example:{server.server_port}"
    with contextlib.closing(Web(OPEN, lambda host, port: answers.pop(0))) as web:
        for _ in range(3):  # all over one connection
            assert web.fetch(f"{url}/picture") == Fetched(b"picture", "")
        assert server.seen[0][1]["Host"] == url.removeprefix("http://") and len(answers) == 4
        web.close()
        for code in codes:
            assert code_of(lambda: web.fetch(f"{url}/picture")) == code
    assert len(server.seen) == 3


def test_the_next_address_is_tried(server: Server) -> None:
    policy = replace(OPEN, allow_private=("127.0.0.0/8",))
    with contextlib.closing(Web(policy, lambda *_: ["127.0.0.9", "127.0.0.1"])) as web:
        assert web.fetch(f"http://shop.example:{server.server_port}/picture") == Fetched(b"picture", "")


def test_a_resolver_that_does_not_answer() -> None:
    over = threading.Event()
    web = Web(replace(OPEN, timeout=0.3), lambda *_: [str(over.wait(10))])
    began = time.perf_counter()
    assert code_of(lambda: web.fetch("http://shop.example/")) == "picture_timeout"
    assert time.perf_counter() - began < 5
    over.set()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of 127.0.0.1, signed by itself; with its key."""
    path = tmp_path / "certificate.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"]
    subprocess.run(
        [*request, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(tmp_path / "key.pem"), "-out", str(path)],
        check=True,
        capture_output=True,
    )
    return path


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")
def test_certificates_are_verified(server: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = server.url.replace("http://", "https://")
    with contextlib.closing(Web(OPEN)) as web:
        assert code_of(lambda: web.fetch(f"{url}/picture")) == "picture_connection_failed"
    assert server.seen == []
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with contextlib.closing(Web(OPEN)) as web:
        assert web.fetch(f"{url}/picture") == Fetched(b"picture", "")
        wrong_name = url.replace("127.0.0.1", "localhost")
        assert code_of(lambda: web.fetch(f"{wrong_name}/picture")) in (
            "picture_connection_failed",
            "picture_address_not_allowed",  # where localhost is ::1, too
        )
    with contextlib.closing(Web(replace(OPEN, schemes=("https",)))) as web:
        assert code_of(lambda: web.fetch(f"{url}/redirect?{server.url}/picture")) == "picture_scheme_not_allowed"


def test_a_web_folder_as_root(server: Server) -> None:
    url = f"{server.url.replace('//', '//ann:pa55@')}/picture/x/?sig=abc"
    with PictureRoot(url, replace(OPEN, schemes=("https",))) as root:
        root.check()
        for uri in (
            "a.jpg",
            "./y/../a.jpg",
            "/picture/x/a.jpg",
            f"{url.partition('?')[0]}a.jpg",
            f"{server.url}/picture/x/a.jpg",
        ):
            assert root.read(uri) == Fetched(b"picture", "")
            path, headers = server.seen[-1]
            assert (path, headers["Authorization"]) == ("/picture/x/a.jpg?sig=abc", "Basic YW5uOnBhNTU=")
        assert root.read("a.jpg?w=3#top") and server.seen[-1][0] == "/picture/x/a.jpg?w=3&sig=abc"
        for uri in ("../a.jpg", "%2e%2e/a.jpg", "/a.jpg", "y/..%2f../a.jpg", "..\\a.jpg"):
            assert code_of(lambda uri=uri: root.read(uri)) == "picture_outside_root"
        assert code_of(lambda: root.read(f"{server.url}/picture/y/a.jpg")) == "picture_scheme_not_allowed"
    with PictureRoot(url, OPEN) as root:
        assert root.read(f"{server.url}/picture/y/a.jpg") == Fetched(b"picture", "")
        assert "Authorization" not in server.seen[-1][1] and server.seen[-1][0] == "/picture/y/a.jpg"


def test_many_threads(root: PictureRoot, server: Server) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda n: root.read(f"{server.url}/picture/{n}"), range(100))) == {Fetched(b"picture", "")}
    assert server.connections <= 8


def test_policies_and_errors_can_be_sent_to_workers() -> None:
    assert pickle.loads(pickle.dumps(OPEN)) == OPEN  # noqa: S301
    error = pickle.loads(pickle.dumps(PictureError("picture_timeout", "https://u:pa55@x/ is slow")))  # noqa: S301
    assert (error.code, error.sentence) == ("picture_timeout", "https://u:***@x/ is slow")


# Stores


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    import boto3
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        client = boto3.client("s3")
        for name in ("shop", "other"):
            client.create_bucket(Bucket=name)
            client.put_object(Bucket=name, Key="pictures/a.jpg", Body=b"picture")
        client.put_object(Bucket="shop", Key="pictures/empty.jpg", Body=b"")
        client.put_object(Bucket="shop", Key="pictures/huge.jpg", Body=bytes(100_001))
        client.put_object(Bucket="shop", Key="pictures/100% ä.jpg", Body=b"picture")
        client.put_object(Bucket="shop", Key="pictures/sub/b.jpg", Body=b"picture")
        yield client
        server.stop()


def test_a_bucket_as_root(bucket: Any) -> None:
    with PictureRoot("s3://shop/pictures/", OPEN) as root:
        root.check()
        fetched = root.read("a.jpg")
        assert fetched and fetched.data == b"picture" and fetched.stamp
        for uri in ("./sub/../a.jpg", "s3://shop/pictures/a.jpg", "100% ä.jpg"):
            assert root.read(uri) == fetched
        assert root.read("a.jpg", fetched.stamp) is None and root.stamp("a.jpg") is None
        assert root.read("empty.jpg", fetched.stamp) is not None
        bucket.put_object(Bucket="shop", Key="pictures/a.jpg", Body=b"another")
        again = root.read("a.jpg", fetched.stamp)
        assert again and again.data == b"another" and again.stamp != fetched.stamp


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("none.jpg", "picture_not_found"),
        ("x" * 2000, "picture_not_found"),
        ("nul\0", "picture_not_found"),
        ("huge.jpg", "picture_too_many_bytes"),
        ("sub", "picture_not_a_file"),
        ("../a.jpg", "picture_outside_root"),
        ("/other/pictures/a.jpg", "picture_outside_root"),
        ("s3://other/pictures/a.jpg", "picture_outside_root"),
        ("s3://shop/pictures/../x.jpg", "picture_outside_root"),
        ("s3://shop/pictures2/a.jpg", "picture_outside_root"),
        ("s3a://other/a.jpg", "picture_scheme_not_allowed"),
        ("gs://other/a.jpg", "picture_scheme_not_allowed"),
        ("file:///etc/passwd", "picture_scheme_not_allowed"),
        ("http://127.0.0.2/", "picture_address_not_allowed"),
    ],
)
def test_references_that_are_not_in_the_bucket(bucket: Any, uri: str, code: str) -> None:
    with PictureRoot("s3://shop/pictures", OPEN) as root:
        assert code_of(lambda: root.read(uri)) == code


def test_a_bucket_that_is_not_there(bucket: Any) -> None:
    for uri in ("s3://none/", "s3://shop/none/"):
        with pytest.raises(UserError):
            PictureRoot(uri, OPEN).check()


def test_a_store_without_content_marks() -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/pictures/a.jpg", b"picture")
    with PictureRoot("memory://pictures", OPEN) as root:
        root.check()
        fetched = root.read("a.jpg")
        assert fetched and fetched.data == b"picture" and fetched.stamp.endswith("-7")
        assert root.read("a.jpg", fetched.stamp) is None
    memory.rm("/pictures", recursive=True)


def test_a_host_that_keeps_failing_is_left_alone_for_a_while() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError("gone")

    now = [0.0]
    health = HostHealth(lambda: now[0])
    web = Web(FetchSettings(), unknown, health)
    codes = []
    for _ in range(10):
        with pytest.raises(PictureError) as fault:
            web.fetch("https://gone.example/a.jpg")
        codes.append(fault.value.code)
    assert codes == ["picture_host_unknown"] * 8 + ["picture_connection_failed"] * 2
    now[0] = 601
    with pytest.raises(PictureError, match="picture_host_unknown"):
        web.fetch("https://gone.example/a.jpg")


def test_an_answer_ends_the_count_of_failures() -> None:
    health = HostHealth()
    for _ in range(3):
        for _ in range(7):
            health.note("shop", answered=False)
        health.note("shop", answered=True)
    health.check("shop")
