"""A web server of a test, whose every path is another good or bad answer."""

import contextlib
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote


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
