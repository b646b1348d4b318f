"""What every feed has in common: files, row numbers, and faults of whole files."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_io.feeds.read import read_feed
from schemas.errors import ConfigurationError, UserError
from tests.catalog_io.feeds.feed_files import feed, read, write
from tests.places import REAL_CATALOGUES

HM, MYNTRA = REAL_CATALOGUES / "hm", REAL_CATALOGUES / "myntra"


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
}


@pytest.mark.parametrize("ending", COMPRESSORS)
def test_compressed_files(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog_io.feeds.formats.text.HEAD_BYTES", 1000)
    compress = COMPRESSORS[ending]
    rows = "".join(f"{n},{n * 7919 % 10007},p\n" for n in range(220_000)).encode()
    whole = compress(b"id,name,pic\n" + rows)
    in_two = compress(b"id,name,pic\n1,A,a\n") + compress(b"2,B,b\n")
    assert read(write(tmp_path / f"a.csv{ending}", in_two))["title"].to_list() == ["A", "B"]
    lines = compress(b'{"id": 1, "name": "A", "pic": "p"}\n')
    assert read(write(tmp_path / f"a.jsonl{ending}", lines)).height == 1
    frames = read_feed(feed(write(tmp_path / f"b.csv{ending}", whole[: len(whole) * 9 // 10])))
    with pytest.raises(UserError, match=rf"b\.csv\{ending}: reading failed"):
        list(frames)
    with pytest.raises(UserError, match=r"reading failed"):
        read_feed(feed(write(tmp_path / f"c.csv{ending}", b"\0\1 is no text")))


def test_rows_are_numbered_through_all_files_and_batches(tmp_path: Path) -> None:
    write(tmp_path / "b.jsonl", "".join(f'{{"id": {i}, "name": "n", "pic": "p"}}\n' for i in range(5, 8)))
    write(tmp_path / "a.csv", "id,name,pic\n" + "".join(f"{i},n,p\n" for i in range(5)))
    frames = list(read_feed(feed(tmp_path / "*"), batch_rows=2))
    assert [f.height for f in frames] == [2, 2, 1, 2, 1]
    assert pl.concat(frames)["row_number"].to_list() == list(range(1, 9))
    assert pl.concat(frames)["listing_id"].to_list() == [str(i) for i in range(8)]


def test_a_header_alone_is_a_feed_without_rows(tmp_path: Path) -> None:
    assert list(read_feed(feed(write(tmp_path / "a.csv", "id,name,pic\n")))) == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "", "the file is empty"),
        ("a.csv", "id,title,pic\n1,A,a\n", "no column 'name'; the columns are: id, title, pic"),
        ("a.csv", 'id,name,"pic\n1,A,a\n', "a quoted cell is never closed"),
        ("a.csv.zip", "PK", "a feed cannot be .zip"),
        ("a.parquet.gz", "PK", "a feed cannot be .parquet"),
        ("a.csv", "id,name,pic,name\n", "two columns are called 'name'"),
        ("a.csv", b"id,name,pic,f\xe4rg\n", "not UTF-8"),
        ("a.csv", "id,name,pic\n".encode("utf-16-le"), 'perhaps to "utf-16-le"'),
        ("a.jsonl", '{"id": 1, "pic": "a"}\n', "no column 'name'; the columns are: id, pic"),
        ("a.parquet", "PAR1 is not enough", "not a Parquet file"),
        ("a.xlsx", "PK", "a feed cannot be .xlsx"),
        ("a", "\0\1", "a file without a suffix"),
    ],
)
def test_whole_file_faults_are_raised_before_anything_is_read(
    tmp_path: Path, name: str, content: str | bytes, said: str
) -> None:
    write(tmp_path / name, content)
    with pytest.raises(UserError) as fault:
        read_feed(feed(tmp_path / name))
    assert said in str(fault.value) and str(tmp_path / name) in str(fault.value)


def test_the_second_file_of_a_glob_is_checked_before_the_first_is_read(tmp_path: Path) -> None:
    write(tmp_path / "1.csv", "id,name,pic\n1,A,a\n")
    write(tmp_path / "2.csv", "id,pic\n1,a\n")
    with pytest.raises(UserError, match=r"2\.csv: there is no column 'name'"):
        read_feed(feed(tmp_path / "*.csv"))


def test_no_file_and_no_mapping(tmp_path: Path) -> None:
    for source in ("no.csv", "*.csv"):
        with pytest.raises(UserError, match="there is no file"):
            read_feed(feed(tmp_path / source))
    with pytest.raises(ConfigurationError, match=r"feeds\.hm\.columns: image is not mapped"):
        read_feed(feed("a.csv", columns={"image": []}))
    with pytest.raises(ConfigurationError, match="there is no colour to map"):
        read_feed(feed("a.csv", columns={"colour": "c"}))
    with pytest.raises(ConfigurationError, match="listing_id is one column"):
        read_feed(feed("a.csv", columns={"listing_id": ["a", "b"]}))
    with pytest.raises(UserError, match="this is a folder"):
        read_feed(feed(tmp_path))


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=12).filter(lambda b: b.strip() and not set(b) & set(b'\n\r"')), max_size=8))
def test_every_line_of_rubbish_is_one_row(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("feed")
    body = b"\n".join(lines)
    for name, head in (("a.csv", b"id,name,pic\n"), ("a.jsonl", b'{"id": 1, "name": "n", "pic": "p"}\n')):
        frames = list(read_feed(feed(write(folder / name, head + body))))
        assert sum(f.height for f in frames) == len(lines) + (name == "a.jsonl")


@pytest.mark.skipif(not HM.exists(), reason="the real catalogues are beside the project")
def test_real_feeds() -> None:
    columns = {
        "listing_id": "article_id",
        "title": "prod_name",
        "image": "image",
        "product_id": "product_code",
    }
    hm = read(HM / "listings.csv", {"color": "colour"}, columns=columns)
    assert (hm.height, hm["fault"].null_count()) == (10_107, 10_107)
    names = pl.read_parquet_schema(next(MYNTRA.glob("*.parquet"))).names()
    columns = {"listing_id": "id", "title": next(n for n in names if "name" in n.lower()), "image": "image"}
    first = next(read_feed(feed(MYNTRA / "*.parquet", {"color": "baseColour"}, columns=columns)))
    assert first["pictures"].list.len().min() == 1
