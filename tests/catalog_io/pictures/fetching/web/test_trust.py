"""Logins go to their own server, certificates are verified, a web folder keeps its rows below it."""

import contextlib
import shutil
import ssl
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from catalog_io.pictures.fetching.fetched import Fetched
from catalog_io.pictures.fetching.root import PictureRoot
from catalog_io.pictures.fetching.web.web import Web
from tests.catalog_io.pictures.fetching.errors import OPEN, code_of
from tests.catalog_io.pictures.fetching.web.web_server import Server


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
            "/a.jpg",  # a path of Magento's, which is below the folder
            f"{url.partition('?')[0]}a.jpg",
            f"{server.url}/picture/x/a.jpg",
        ):
            assert root.read(uri) == Fetched(b"picture", "")
            path, headers = server.seen[-1]
            assert (path, headers["Authorization"]) == ("/picture/x/a.jpg?sig=abc", "Basic YW5uOnBhNTU=")
        assert root.read("a.jpg?w=3#top") and server.seen[-1][0] == "/picture/x/a.jpg?w=3&sig=abc"
        for uri in ("../a.jpg", "%2e%2e/a.jpg", "/../a.jpg", "y/..%2f../a.jpg", "..\\a.jpg"):
            assert code_of(lambda uri=uri: root.read(uri)) == "picture_outside_root"
        assert code_of(lambda: root.read(f"{server.url}/picture/y/a.jpg")) == "picture_scheme_not_allowed"
    with PictureRoot(url, OPEN) as root:
        assert root.read(f"{server.url}/picture/y/a.jpg") == Fetched(b"picture", "")
        assert "Authorization" not in server.seen[-1][1] and server.seen[-1][0] == "/picture/y/a.jpg"
