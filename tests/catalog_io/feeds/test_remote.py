"""Feeds from the web and from object stores, on servers of the tests' own."""

import gzip
import http.server
import os
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import polars as pl
import pytest
import zstandard

from catalog_io.feeds.columns import FeedShape
from catalog_io.feeds.read import feed_shape, read_feed
from catalog_io.feeds.settings import FeedSettings
from flows.cli.init.starter import write_starter
from flows.project.settings import load_settings
from schemas.errors import ConfigurationError, UserError

COLUMNS = {"listing_id": "id", "title": "title", "image": "image"}
CSV = b"id,title,image\n1,A,a.jpg\n2,B,b.jpg\n"
CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "zstd": zstandard.compress,
    "deflate": zlib.compress,
    "gzip,gzip": lambda body: gzip.compress(gzip.compress(body)),
    "br": lambda body: b"\x8b\x0e\x80" + body,
    "identity": bytes,
}
SECRET = "s3cret-w0rd"  # noqa: S105


def feed(source: str) -> FeedSettings:
    return FeedSettings("shop", source, COLUMNS, {})


def read(source: str) -> pl.DataFrame:
    return pl.concat(read_feed(feed(source)))


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None: ...

    def do_GET(self) -> None:
        if self.path.startswith("/forbidden"):
            self.send_error(403)
        elif self.path.startswith("/export"):
            self._send("text/csv; charset=utf-8", CSV, len(CSV))
        elif self.path.startswith("/coded/"):
            coding, name = self.path.split("/")[2:]
            body = (CODINGS[coding])(CSV)
            body = body[: len(body) // 2] if name.startswith("half") else body
            self._send("text/csv", body, len(body), coding)
        elif self.path.startswith("/cut.csv"):
            self._send("text/csv", CSV + b"3,C,%b.jpg\n" % (b"c" * 990) * 5_000, 20_000_000)
        else:
            super().do_GET()

    def do_HEAD(self) -> None:
        if self.path.startswith("/coded/"):
            self.do_GET()
        else:
            super().do_HEAD()

    def _send(self, kind: str, body: bytes, length: int, coding: str = "") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        if coding:
            self.send_header("Content-Encoding", coding)
        self.end_headers()
        try:
            if self.command == "GET":
                self.wfile.write(body)
        except OSError:  # the reader has seen enough
            self.close_connection = True


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("web")
    (folder / "feed.csv").write_bytes(CSV)
    (folder / "feed.csv.gz").write_bytes(gzip.compress(CSV))
    (folder / "a b.jsonl").write_bytes(b'{"id": 1, "title": "A", "image": ["a", "b"]}\n')
    pictures = [os.urandom(1_000_000) for _ in range(20)]
    pl.DataFrame({"id": range(20), "title": "A", "image": pictures}).write_parquet(folder / "feed.parquet")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_web(web: str) -> None:
    for name in ("feed.csv", "feed.csv.gz", "feed.csv?token=s3cret", "export?format=csv"):
        assert read(f"{web}/{name}")["listing_id"].to_list() == ["1", "2"]
    assert read(f"{web}/a b.jsonl")["pictures"].list.len().to_list() == [2]
    got = read(f"{web}/feed.parquet")
    assert got["pictures"].explode().struct.field("data").bin.size().to_list() == [1_000_000] * 20
    assert feed_shape(feed(f"{web}/feed.parquet")).columns == ["id", "title", "image"]
    assert feed_shape(feed(f"{web}/feed.csv")) == FeedShape(["id", "title", "image"])


@pytest.mark.parametrize("name", ["feed.csv", "feed.csv.gz", "feed.php"])
@pytest.mark.parametrize("coding", sorted(CODINGS.keys() - {"br"}))
def test_what_a_server_packs_although_it_was_not_asked_is_unpacked(web: str, coding: str, name: str) -> None:
    assert read(f"{web}/coded/{coding}/{name}")["listing_id"].to_list() == ["1", "2"]


@pytest.mark.parametrize("coding", ["gzip", "zstd", "deflate"])
def test_a_packed_answer_that_ends_early_is_an_error(web: str, coding: str) -> None:
    with pytest.raises(UserError, match=r"half\.csv: reading failed"):
        read(f"{web}/coded/{coding}/half.csv")


def test_a_coding_that_cannot_be_unpacked_is_named(web: str) -> None:
    with pytest.raises(UserError, match="sends the file in the Content-Encoding br, which cannot be unpacked"):
        read(f"{web}/coded/br/feed.csv")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("none.csv?token=s3cret-w0rd", r"feeds\.shop\.source: there is no file http://.*/none\.csv; correct the path"),
        ("forbidden.csv?sig=s3cret-w0rd", r"forbidden\.csv cannot be opened: 403.*credentials"),
        ("cut.csv?sig=s3cret-w0rd", r"cut\.csv: reading failed"),
    ],
)
def test_faults_of_web_servers_are_named(web: str, path: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as fault:
        read(f"{web}/{path}")
    assert SECRET not in str(fault.value)
    with pytest.raises(UserError) as fault:
        read(f"{web.replace('//', f'//me:{SECRET}@')}/{path}")
    assert SECRET not in str(fault.value)


def test_nobody_answers() -> None:
    with pytest.raises(UserError, match=r"http://127\.0\.0\.1:1/feed\.csv cannot be opened: ") as fault:
        read_feed(feed(f"http://me:{SECRET}@127.0.0.1:1/feed.csv"))
    assert SECRET not in str(fault.value)
    assert "there is no file" not in str(fault.value)


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(ConfigurationError, match=r"gs://bucket/feed\.csv needs .*: install cma-tagger\[gs\]"):
        read_feed(feed("gs://bucket/feed.csv"))


def test_init_from_the_web(web: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"`cma ingest` would refuse the project: .* not public; `allow_private` can"):
        write_starter(tmp_path, f"{web}/feed.csv.gz")
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("CMA_FETCH__ALLOW_PRIVATE", '["127.0.0.1"]')
    config = write_starter(tmp_path, f"{web}/feed.csv.gz").config
    settings = load_settings(config).feeds["mine"]
    assert (settings.source, settings.images) == (f"{web}/feed.csv.gz", web)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    pytest.importorskip("s3fs")
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    store = fsspec.filesystem("s3")
    store.mkdirs("shop", exist_ok=True)
    yield store
    store.rm("shop", recursive=True)


def test_s3(bucket: Any) -> None:
    bucket.pipe("shop/feeds/1.csv", CSV)
    bucket.pipe("shop/feeds/2.csv.gz", gzip.compress(CSV.replace(b"\n1,", b"\n3,").replace(b"\n2,", b"\n4,")))
    assert read("s3://shop/feeds/1.csv")["listing_id"].to_list() == ["1", "2"]
    assert read("s3://shop/feeds/*")["listing_id"].to_list() == ["1", "2", "3", "4"]
    bucket.pipe("shop/feeds/3.csv", b"id,title\n1,A\n")
    with pytest.raises(UserError, match=r"shop/feeds/3\.csv: there is no column 'image'"):
        read_feed(feed("s3://shop/feeds/*.csv"))
    with pytest.raises(UserError, match=r"there is no file s3://shop/none\*\.csv"):
        read_feed(feed("s3://shop/none*.csv"))
    with pytest.raises(UserError, match="this is a folder"):
        read_feed(feed("s3://shop/feeds"))


def test_parquet_on_s3(bucket: Any) -> None:
    frame = pl.DataFrame({"id": range(1000), "title": "A", "image": "a.jpg"})
    with bucket.open("shop/feed.parquet", "wb") as file:
        frame.write_parquet(file)
    assert read("s3://shop/feed.parquet").height == 1000


def test_s3_without_a_server(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(UserError, match=r"s3://other/feed\.csv cannot be opened") as fault:
        type(bucket).clear_instance_cache()
        read_feed(feed("s3://other/feed.csv"))
    assert SECRET not in str(fault.value)
    type(bucket).clear_instance_cache()
