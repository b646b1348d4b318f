"""Encodings, and lines of any length."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_io.feeds.read import read_feed
from schemas.errors import ConfigurationError
from tests.catalog_io.feeds.feed_files import COLUMNS, ENCODINGS, MARKS, feed, read, write


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_byte_order_mark_tells_the_encoding(tmp_path: Path, encoding: str) -> None:
    mark = MARKS.get(encoding, b"")
    path = write(tmp_path / "a.csv", mark + '"id",name,pic\n1,Röd 👗,a.jpg\n'.encode(encoding))
    assert read(path)["title"].to_list() == ["Röd 👗"]
    lines = write(tmp_path / "a.jsonl", mark + '{"id": 1, "name": "Röd 👗", "pic": "p"}\n'.encode(encoding))
    assert read(lines)["title"].to_list() == ["Röd 👗"]


def test_the_encoding_setting(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,name,pic,färg\n1,Röd €,a.jpg,Grå\n".encode("windows-1252"))
    assert read(path, {"color": "färg"}, encoding="cp1252")["title"].to_list() == ["Röd €"]
    marked = write(tmp_path / "b.csv", "\ufeffid,name,pic\n1,Röd,a.jpg\n".encode("utf-16-le"))
    assert read(marked, encoding="utf-16-le")["title"].to_list() == ["Röd"]
    for unknown in ("klingon", "rot13", "no\0sense"):
        with pytest.raises(ConfigurationError, match=r"feeds\.hm\.encoding"):
            read(path, encoding=unknown)


def test_a_row_that_cannot_be_decoded_costs_only_itself(tmp_path: Path) -> None:
    body = "id,name,pic\n1,A,a\n2,".encode("utf-16") + b"\x00\xd8" + ",b\n3,C,c\n".encode("utf-16-le")
    frame = read(write(tmp_path / "a.csv", body))
    assert frame["fault"].to_list() == [None, "not UTF-16 text", None]
    frame = read(write(tmp_path / "a.csv", body + b"4"))
    assert frame["fault"].to_list()[3:] == ["1 cells where there are 3 columns"]
    bad = "id,name,pic\n1,A,a\n2,B,b\n".encode("utf-32").replace(b"B\0\0\0", b"BBBB")
    assert read(write(tmp_path / "a.csv", bad))["fault"].to_list() == [None, "not UTF-32 text"]


def test_nul_bytes_are_characters(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.csv", b"id,name,pic\n1,A\0B,a\n"))["title"].to_list() == ["A\0B"]


def test_an_endless_line_is_one_unreadable_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog_io.feeds.formats.text.LONGEST_ROW", 300_000)
    endless = "1,B," * 100_000
    body = f'id,name,pic\n1,A,a\n{endless}\n2,C,c\n3,"D{endless}'
    frame = read(write(tmp_path / "a.csv", body))
    assert frame["listing_id"].to_list() == ["1", None, "2", None]
    assert frame["fault"].to_list() == [None, "more than 300,000 characters", None, "more than 300,000 characters"]
    body = f'{{"id": 1, "name": "A", "pic": "p"}}\n[{endless}\n{{"id": 2, "name": "A", "pic": "p"}}\n'
    frame = read(write(tmp_path / "a.jsonl", body))
    assert frame["fault"].to_list() == [None, "more than 300,000 characters", None]
    frame = read(write(tmp_path / "b.csv", f'id,name,pic\n1,"A\n{endless}\n2,C,c\n'))
    assert frame["listing_id"].to_list() == [None, None, "2"]


def test_memory_does_not_grow_with_a_file_without_line_breaks(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"id,name,pic\n1,A,a\n2,B")
        for _ in range(60):
            file.write(b"x" * 10_000_000)
    code = f"""
import resource
from catalog_io.feeds.read import read_feed
from catalog_io.feeds.settings import FeedSettings
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = sum(f.height for f in read_feed(FeedSettings("m", {str(path)!r}, {COLUMNS!r}, {{}})))
print(rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rows, megabytes = map(int, done.stdout.split())
    assert rows == 2
    assert megabytes < 150


def test_long_rows_are_clipped_for_the_report(tmp_path: Path) -> None:
    frame = read(write(tmp_path / "a.csv", f"id,name,pic\n1,{'x' * 50_000},a\n"))
    assert len(frame["title"][0]) == 50_000
    assert isinstance(json.loads(frame["raw"][0]), str)
    assert len(frame["raw"][0]) < 25_000


@settings(max_examples=100)
@given(st.binary(max_size=80), st.sampled_from([*ENCODINGS, "cp1252", "shift_jis", "utf-7"]))
def test_no_bytes_stop_the_reader(tmp_path_factory: pytest.TempPathFactory, body: bytes, encoding: str) -> None:
    folder = tmp_path_factory.mktemp("feed")
    head = MARKS.get(encoding, b"")
    for name, line in (("a.csv", "id,name,pic\n"), ("a.jsonl", '{"id": 1, "name": "n", "pic": ["p"]}\n')):
        path = write(folder / name, head + line.encode(encoding) + body)
        frames = list(read_feed(feed(path, encoding=encoding), batch_rows=3))
        rows = pl.concat(frames).rows(named=True) if frames else []
        assert [row["row_number"] for row in rows] == list(range(1, len(rows) + 1))
        assert all(isinstance(json.loads(row["raw"]), dict if row["fault"] is None else list | str) for row in rows)
