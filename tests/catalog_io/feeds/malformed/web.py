"""A web server with good and bad answers, each with the code of the picture that it is asked for."""

import contextlib
import gzip
import json
import socketserver
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import polars as pl

from tests.catalog_io.feeds.malformed.pictures import BYTES, JPEG, MAX_BYTES, PLACES

HOST = "127.0.0.2"  # which a test can allow while 127.0.0.1 stays forbidden


def answer(status: str, body: bytes = b"", **headers: str) -> bytes:
    lines = {"Connection": "close", "Content-Length": str(len(body))}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in lines.items()), "", ""]
    return "\r\n".join(head).encode() + body


def _sent_to(location: str) -> bytes:
    return answer("302 Found", Location=location)


# path → all that the server says, and the code. `drip` and `silence` take longer than anyone waits.
WEB: dict[str, tuple[bytes, str]] = {
    "good": (answer("200 OK", JPEG), ""),
    "absent": (answer("404 Not Found", b"<html>"), "picture_http_status"),
    "gone": (answer("410 Gone"), "picture_http_status"),
    "login": (answer("401 Unauthorized", WWW_Authenticate="Basic"), "picture_http_status"),
    "forbidden": (answer("403 Forbidden"), "picture_http_status"),
    "nothing": (b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", "picture_http_status"),
    "part": (answer("206 Partial Content", JPEG[:500]), "picture_http_status"),
    "unasked": (b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n", "picture_http_status"),
    "nowhere": (answer("302 Found"), "picture_http_status"),
    "broken": (answer("500 Internal Server Error", b"Traceback"), "picture_server_error"),
    "maintenance": (answer("503 Service Unavailable", Retry_After="60"), "picture_server_error"),
    "busy": (answer("429 Too Many Requests"), "picture_server_error"),
    "loop": (_sent_to("/loop"), "picture_too_many_redirects"),
    "to-loopback": (_sent_to("http://127.0.0.1/good"), "picture_address_not_allowed"),
    "to-metadata": (_sent_to("//169.254.169.254/latest/meta-data"), "picture_address_not_allowed"),
    "to-file": (_sent_to("file:///etc/hostname"), "picture_scheme_not_allowed"),
    "to-ftp": (_sent_to("ftp://shop.example/a.jpg"), "picture_scheme_not_allowed"),
    "to-rubbish": (_sent_to("http://[/"), "picture_not_found"),
    "to-page": (_sent_to("/page"), "picture_unreadable"),
    "page": (answer("200 OK", b"<html>404, sorry</html>", Content_Type="image/jpeg"), "picture_unreadable"),
    "empty": (answer("200 OK"), "picture_empty"),
    "packed": (answer("200 OK", gzip.compress(JPEG), Content_Encoding="gzip"), "picture_unreadable"),
    "claims-much": (answer("200 OK", JPEG, Content_Length=str(10**12)), "picture_too_many_bytes"),
    "has-much": (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + JPEG + bytes(MAX_BYTES),
        "picture_too_many_bytes",
    ),
    "less-than-claimed": (answer("200 OK", JPEG, Content_Length=str(len(JPEG) + 1)), "picture_connection_failed"),
    "more-than-claimed": (answer("200 OK", JPEG, Content_Length=str(len(JPEG) // 2)), "picture_truncated"),
    "negative": (answer("200 OK", JPEG, Content_Length="-1"), "picture_connection_failed"),
    "no-number": (answer("200 OK", JPEG, Content_Length="many"), "picture_connection_failed"),
    "bad-chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + JPEG,
        "picture_connection_failed",
    ),
    "no-http": (b"220 mail.shop.example ESMTP\r\n", "picture_connection_failed"),
    "no-end": (b"HTTP/1.1 200 OK\r\n" + b"X-Filler: 0123456789\r\n" * 10_000, "picture_connection_failed"),
    "hangs-up": (b"", "picture_connection_failed"),
    "drip": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "picture_timeout"),
    "silence": (b"", "picture_timeout"),
}


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(OSError):
            path = self.rfile.readline().split()[1].decode().partition("?")[0].removeprefix("/")
            while self.rfile.readline().strip():
                pass
            self.wfile.write(WEB.get(path, WEB["absent"])[0])
            if path == "drip":
                while True:
                    self.wfile.write(b"\xff")
                    time.sleep(0.1)
            if path == "silence":
                self.rfile.read(1)  # until the other side gives up


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The address of a web server that gives the answers of WEB."""
    with _Server((HOST, 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class Named(NamedTuple):
    """What a row writes for its picture, and the code that it leads to."""

    uri: str
    code: str


def named_pictures(web: str) -> dict[str, Named]:
    """By listing id; for the web server at that address."""
    return (
        {f"file {name}": Named(name, code) for name, (_, code) in BYTES.items()}
        | {f"place {name}": Named(*place) for name, place in PLACES.items()}
        | {f"web {path}": Named(f"{web}/{path}", code) for path, (_, code) in WEB.items()}
    )


def write_named(path: Path, pictures: Mapping[str, Named]) -> None:
    """A JSONL feed, which can hold every character."""
    rows = [{"id": name, "title": f"Dress {name}", "image": picture.uri} for name, picture in pictures.items()]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def write_embedded(path: Path) -> None:
    """A Parquet feed with BYTES inside; its listings are called `bytes <name>`."""
    rows = [{"id": f"bytes {name}", "title": "Dress", "image": data} for name, (data, _) in BYTES.items()]
    pl.DataFrame(rows).write_parquet(path)
