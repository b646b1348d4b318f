"""Compression is found by the bytes of a file, whatever its name; damaged files are errors."""

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import polars as pl
import pytest
import zstandard

from catalog_io.feeds.read import read_feed
from schemas.errors import UserError
from tests.catalog_io.feeds.feed_files import feed, read, write

CSV = b"id,name,pic\n1,A,a.jpg\n2,B,b.jpg\n"
PACKED = {
    "gz": gzip.compress(CSV),
    "bz2": bz2.compress(CSV),
    "xz": lzma.compress(CSV),
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress(CSV),
}


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.csv.zst", "a.gz", "feed"])
def test_a_packed_file_is_unpacked_whatever_its_name(tmp_path: Path, name: str, packed: bytes) -> None:
    assert read(write(tmp_path / name, packed))["listing_id"].to_list() == ["1", "2"]


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv.xz", "a.csv.bz2", "a.csv.zst", "a.gz"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_that_a_browser_unpacked_is_read_under_its_old_name(tmp_path: Path, name: str, encoding: str) -> None:
    assert read(write(tmp_path / name, CSV.decode().encode(encoding)))["listing_id"].to_list() == ["1", "2"]


def test_several_layers(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.csv.gz", gzip.compress(gzip.compress(CSV)))).height == 2
    assert read(write(tmp_path / "a.jsonl", bz2.compress(gzip.compress(b'{"id": 1, "name": "A", "pic": ""}')))).height
    packed = CSV
    for _ in range(4):
        packed = gzip.compress(packed)
    with pytest.raises(UserError, match=r"a\.csv\.gz: the file is compressed more than 3 times; unpack it"):
        read(write(tmp_path / "a.csv.gz", packed))


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
def test_a_file_that_is_cut_short_is_an_error_also_within_another(tmp_path: Path, packed: bytes) -> None:
    for content in (packed[:-6], gzip.compress(packed[:-6])):
        for name in ("a.csv", "a.csv.gz"):
            with pytest.raises(UserError, match="reading failed, the file is damaged"):
                read(write(tmp_path / name, content))


def test_a_packed_parquet_file_is_copied_for_random_access(tmp_path: Path) -> None:
    out = io.BytesIO()
    pl.DataFrame({"id": ["1"], "name": ["A"], "pic": ["a"]}).write_parquet(out)
    assert read(write(tmp_path / "a.parquet", gzip.compress(out.getvalue())))["title"].to_list() == ["A"]


def test_text_that_begins_like_a_mark_of_compression_is_text(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.csv", b"BZh,id,name,pic\nx,1,A,a\n"))["title"].to_list() == ["A"]


def _zip(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, CSV)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (_zip("feed.csv"), "this is a zip archive; unpack it"),
        (_zip("[Content_Types].xml", "xl/workbook.xml"), "this is an Excel workbook; save its sheet as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "this is an old Excel workbook"),
        (b"%PDF-1.7\n%\xe2\xe3", "this is a PDF"),
        (b"\xef\xbb\xbf\n <HTML lang=en><body>Log in</body></html>", "this is a web page"),
        (b"<table><tr><td>id</td></tr></table>", "this is a web page"),
        (b"SQLite format 3\0", "this is an SQLite database"),
        (gzip.compress(_zip("feed.csv")), "this is a zip archive"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    for name in ("a.csv", "a.tsv", "a"):
        with pytest.raises(UserError, match=said):
            read_feed(feed(write(tmp_path / name, content)))


def test_a_file_without_a_suffix_is_read_by_its_bytes(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.gz", gzip.compress(b'{"id": 1, "name": "A", "pic": ""}'))).height == 1
    rss = b"<rss><channel><item><id>1</id><name>A</name><pic>a</pic></item></channel></rss>"
    assert read(write(tmp_path / "feed", rss))["title"].to_list() == ["A"]
    with pytest.raises(UserError, match="this is an Excel workbook"):
        read_feed(feed(write(tmp_path / "a.xlsx", _zip("xl/workbook.xml"))))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'<?xml version="1.0"?><rss></rss>', r"this is an XML file; call it \.xml"),
        (b'[{"id": 1}]', r"this is a JSON file; call it \.jsonl"),
        (b"PAR1", r"this is a Parquet file; call it \.parquet"),
    ],
)
def test_a_file_of_another_format_is_named_with_its_suffix(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_feed(feed(write(tmp_path / "a.csv", content)))
