import bz2
import codecs
import csv
import gzip
import io
import json
import lzma
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_io.feeds.columns import PICTURES
from catalog_io.feeds.read import read_feed
from catalog_io.feeds.settings import FeedSettings
from schemas.errors import ConfigurationError, UserError
from tests.places import REAL_CATALOGUES

COLUMNS = {"listing_id": "id", "title": "name", "image": "pic"}
HM, MYNTRA = REAL_CATALOGUES / "hm", REAL_CATALOGUES / "myntra"


def feed(source: Path | str, labels: Mapping[str, str] | None = None, **settings: Any) -> FeedSettings:
    columns = {**COLUMNS, **settings.pop("columns", {})}
    return FeedSettings("hm", str(source), columns, labels or {}, **settings)


def read(source: Path | str, labels: Mapping[str, str] | None = None, **settings: Any) -> pl.DataFrame:
    frames = list(read_feed(feed(source, labels, **settings)))
    assert all(frame["pictures"].dtype == PICTURES for frame in frames)
    return pl.concat(frames)


def uris(frame: pl.DataFrame) -> list[list[str]]:
    assert frame["pictures"].null_count() == 0
    return [[picture["uri"] for picture in row] for row in frame["pictures"]]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_csv(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv",
        '\ufeffid,name, pic ,colour\n1,"Röd, ""fin""\nklänning",a.jpg, Red \n\n2,Kjol,b.jpg,\n',
    )
    frame = read(path, {"color": "colour"})
    assert frame.drop("fault", "raw").rows(named=True) == [
        {
            "row_number": 1,
            "listing_id": "1",
            "product_id": "1",
            "title": 'Röd, "fin"\nklänning',
            "pictures": [{"uri": "a.jpg", "data": None}],
            "label_word_color": "Red",
        },
        {
            "row_number": 2,
            "listing_id": "2",
            "product_id": "2",
            "title": "Kjol",
            "pictures": [{"uri": "b.jpg", "data": None}],
            "label_word_color": None,
        },
    ]
    assert frame.columns == [
        *("row_number", "listing_id", "product_id", "title", "pictures"),
        *("label_word_color", "raw", "fault"),
    ]
    assert frame["fault"].to_list() == [None, None]
    assert [json.loads(raw) for raw in frame["raw"]] == [
        {"id": "1", "name": 'Röd, "fin"\nklänning', "pic": "a.jpg", "colour": " Red "},
        {"id": "2", "name": "Kjol", "pic": "b.jpg", "colour": ""},
    ]


def test_unreadable_csv_rows_cost_only_themselves(tmp_path: Path) -> None:
    huge = "x" * 140_000
    path = write(
        tmp_path / "a.csv",
        b"id,name,pic\n1,A,a.jpg\n2,B\n3,C,c.jpg,more\n4,caf\xe9,d.jpg\n5,"
        + huge.encode()
        + b',e.jpg\n6,F,f.jpg\n7,"G,g.jpg\n8,"H, h",h.jpg\n9,"I\ni",i.jpg\n',
    )
    frame = read(path)
    assert frame["row_number"].to_list() == list(range(1, 10))
    assert frame["fault"].to_list() == [
        None,
        "2 cells where there are 3 columns",
        "4 cells where there are 3 columns",
        "not UTF-8 text",
        "field larger than field limit (131072)",
        None,
        "a quoted cell is never closed",
        None,
        None,
    ]
    assert frame["title"].to_list()[-2:] == ["H, h", "I\ni"]
    assert uris(frame)[:3] == [["a.jpg"], [], []]
    assert json.loads(frame["raw"][3]) == ["4", "caf\udce9", "d.jpg"]


def test_tsv_and_uppercase_endings(tmp_path: Path) -> None:
    path = write(tmp_path / "a.TSV", "id\tname\tpic\n1\tA, B\ta.jpg\n")
    assert read(path)["title"].to_list() == ["A, B"]


def test_json_lines(tmp_path: Path) -> None:
    lines = [
        '\ufeff{"id": 1, "name": "A", "pic": null, "colour": "red"}',
        '{"id": "2", "name": "B", "pic": "b.jpg"}',
        "",
        "{broken",
        '["a", "list"]',
        '{"id": "5", "name": "half \\ud83d pair", "pic": "e.jpg"}',
        "[" * 100_000,
        '{"id": "7", "name": "line\u2028break", "pic": "g.jpg"}\r',
    ]
    path = write(tmp_path / "a.jsonl", "\n".join(lines).encode() + b'\n{"id": "8", "name": "\xff"}\n')
    frame = read(path, {"color": "colour"})
    assert frame["row_number"].to_list() == list(range(1, 9))
    assert frame["listing_id"].to_list() == ["1", "2", None, None, None, None, "7", None]
    assert frame["label_word_color"].to_list() == ["red", *[None] * 7]
    faults = [(fault or "").split(":")[0] for fault in frame["fault"]]
    assert faults == [
        "",
        "",
        "not JSON",
        "not a JSON object",
        "not Unicode text",
        "not JSON",
        "",
        "not UTF-8 text",
    ]
    assert all(isinstance(json.loads(raw), dict | str) for raw in frame["raw"])


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical, pl.Int64])
def test_parquet_with_paths(tmp_path: Path, dtype: Any) -> None:
    odd = {
        "when": [date(2026, 1, 2), None],
        "price": [Decimal("1.50"), None],
        "blob": [{"deep": b"\xff"}, None],
        "took": [timedelta(seconds=1), None],
        "sizes": [["s"], []],
    }
    frame = pl.DataFrame({"id": ["1", "2"], "name": ["A", None], "pic": ["a.jpg", None]} | odd)
    frame.with_columns(pl.col("id").cast(dtype)).write_parquet(tmp_path / "a.parquet")
    got = read(tmp_path / "a.parquet")
    assert got["listing_id"].to_list() == ["1", "2"]
    assert uris(got) == [["a.jpg"], []]
    raw = json.loads(got["raw"][0])
    assert (str(raw["id"]), raw["when"], raw["sizes"], "blob" in raw) == ("1", "2026-01-02", ["s"], False)


def test_parquet_with_pictures_inside(tmp_path: Path) -> None:
    hub = [{"bytes": b"jpeg", "path": "x.jpg"}, {"bytes": None, "path": "y.jpg"}, None]
    pl.DataFrame({"id": [1, 2, 3], "name": "A", "pic": hub}).write_parquet(tmp_path / "hub.parquet")
    got = read(tmp_path / "hub.parquet")
    assert got["pictures"].to_list() == [
        [{"uri": "x.jpg", "data": b"jpeg"}],
        [{"uri": "y.jpg", "data": None}],
        [],
    ]
    assert json.loads(got["raw"][0]) == {"id": 1, "name": "A"}
    plain = pl.DataFrame({"id": [1], "name": "A", "pic": [b"jpeg"], "more": [[b"1", None, b"2"]]})
    plain.with_columns(unused=pl.lit(b"x")).write_parquet(tmp_path / "plain.parquet")
    got = read(tmp_path / "plain.parquet", columns={"image": ["more", "pic"]})
    assert got["pictures"].to_list() == [[{"uri": "", "data": data} for data in (b"1", b"2", b"jpeg")]]


def test_parquet_with_lists_of_pictures(tmp_path: Path) -> None:
    lists = [[{"bytes": b"1", "path": None}, None, {"bytes": None, "path": "b"}], [], None]
    frame = pl.DataFrame({"id": [1, 2, 3], "name": "A", "pic": lists, "uris": [["x", " ", None, "y"], None, ["z"]]})
    frame.write_parquet(tmp_path / "a.parquet")
    got = read(tmp_path / "a.parquet", columns={"image": ["pic", "uris"]})
    assert uris(got) == [["", "b", "x", "y"], [], ["z"]]
    assert got["pictures"][0][0]["data"] == b"1"


def test_numbers_and_dates_can_be_words_and_titles(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": [1], "name": [1.5], "pic": "p", "when": [date(2026, 1, 2)], "is": [True]})
    frame.with_columns(price=pl.lit(Decimal("1.50"))).write_parquet(tmp_path / "a.parquet")
    got = read(tmp_path / "a.parquet", {"a": "when", "b": "is", "c": "price"})
    assert got.select("title", "^label_word.*$").row(0) == ("1.5", "2026-01-02", "true", "1.50")


def test_a_batch_of_parquet_is_bounded_in_bytes(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": range(40), "name": "A", "pic": [bytes([n]) * 4_000_000 for n in range(40)]})
    frame.write_parquet(tmp_path / "a.parquet", compression="uncompressed", row_group_size=20)
    heights = [frame.height for frame in read_feed(feed(tmp_path / "a.parquet"))]
    assert sum(heights) == 40
    assert max(heights) <= 16


@pytest.mark.parametrize(
    ("name", "body", "settings"),
    [
        ("a.csv", 'id,name,pic,more\n1,A,"[""x"", null, ""y""]",z\n2,B,[b].jpg,"[1]"\n', {}),
        ("a.csv", "id,name,pic,more\n1,A,x| |y,z\n2,B,[b].jpg,[1]\n", {"image_separator": "|"}),
        (
            "a.jsonl",
            '{"id": 1, "name": "A", "pic": ["x", null, "y"], "more": "z"}\n'
            '{"id": 2, "name": "B", "pic": "[b].jpg", "more": "[1]"}\n',
            {},
        ),
    ],
)
def test_several_pictures(tmp_path: Path, name: str, body: str, settings: dict[str, str]) -> None:
    got = read(write(tmp_path / name, body), columns={"image": ["pic", "more"]}, **settings)
    assert uris(got) == [["x", "y", "z"], ["[b].jpg", "[1]"]]


def test_half_a_surrogate_pair_in_a_list_of_pictures(tmp_path: Path) -> None:
    got = read(write(tmp_path / "a.csv", 'id,name,pic\n1,A,"[""\\ud83d""]"\n'))
    assert uris(got) == [['["\\ud83d"]']]


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"]
MARKS = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE, "utf-32-be": codecs.BOM_UTF32_BE}


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


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_by_the_mapped_columns(tmp_path: Path, delimiter: str) -> None:
    body = "id,name,pic\n1,A,a.jpg\n".replace(",", delimiter)
    for name in ("a.csv", "a.tsv", "a.txt"):
        assert read(write(tmp_path / name, body))["title"].to_list() == ["A"]


def test_the_delimiter_setting(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.csv", "id^name^pic\n1^A,B^a.jpg\n"), delimiter="^")["title"].to_list() == ["A,B"]
    for wrong in ("||", "\n", '"'):
        with pytest.raises(ConfigurationError, match=r"feeds\.hm\.delimiter"):
            read(tmp_path / "a.csv", delimiter=wrong)


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
    rows = "".join(f"{n},{n * 7919 % 10007},p\n" for n in range(300_000)).encode()
    whole = compress(b"id,name,pic\n" + rows)
    in_two = compress(b"id,name,pic\n1,A,a\n") + compress(b"2,B,b\n")
    assert read(write(tmp_path / f"a.csv{ending}", in_two))["title"].to_list() == ["A", "B"]
    lines = compress(b'{"id": 1, "name": "A", "pic": "p"}\n')
    assert read(write(tmp_path / f"a.jsonl{ending}", lines)).height == 1
    frames = read_feed(feed(write(tmp_path / f"b.csv{ending}", whole[: len(whole) * 9 // 10])))
    with pytest.raises(UserError, match=rf"b\.csv\{ending}: reading failed"):
        list(frames)
    with pytest.raises(UserError, match=r"reading failed"):
        read_feed(feed(write(tmp_path / f"c.csv{ending}", b"id,name,pic\n1,A,a\n")))


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


def test_numbers_that_are_not_json(tmp_path: Path) -> None:
    frame = read(write(tmp_path / "a.jsonl", '{"id": 1, "name": "A", "pic": "p", "price": NaN}\n'))
    assert json.loads(frame["raw"][0], parse_constant=pytest.fail)["price"] is None


def test_rows_are_numbered_through_all_files_and_batches(tmp_path: Path) -> None:
    write(tmp_path / "b.jsonl", "".join(f'{{"id": {i}, "name": "n", "pic": "p"}}\n' for i in range(5, 8)))
    write(tmp_path / "a.csv", "id,name,pic\n" + "".join(f"{i},n,p\n" for i in range(5)))
    frames = list(read_feed(feed(tmp_path / "*"), batch_rows=2))
    assert [f.height for f in frames] == [2, 2, 1, 2, 1]
    assert pl.concat(frames)["row_number"].to_list() == list(range(1, 9))
    assert pl.concat(frames)["listing_id"].to_list() == [str(i) for i in range(8)]


def test_a_name_with_a_bracket_is_a_name(tmp_path: Path) -> None:
    assert read(write(tmp_path / "feed[1].csv", "id,name,pic\n1,A,a.jpg\n")).height == 1


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
        ("a", "id,name,pic", "a file without a suffix"),
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


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("id", [1.0], "'id' (listing_id) holds Float64"),
        ("name", [["A"]], "'name' (title) holds List"),
        ("pic", [{"url": "x"}], "'pic' (image) holds Struct"),
        ("name", [b"A"], "holds Binary"),
    ],
)
def test_wrong_parquet_types(tmp_path: Path, column: str, values: list[Any], said: str) -> None:
    pl.DataFrame({"id": [1], "name": ["A"], "pic": ["a"]} | {column: values}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError) as fault:
        read_feed(feed(tmp_path / "a.parquet"))
    assert said in str(fault.value)


def test_no_file_and_no_mapping(tmp_path: Path) -> None:
    for source in ("no.csv", "*.csv"):
        with pytest.raises(UserError, match="there is no file"):
            read_feed(feed(tmp_path / source))
    with pytest.raises(ConfigurationError, match=r"feeds\.hm\.columns: image is not mapped"):
        read_feed(feed("a.csv", columns={"image": []}))
    with pytest.raises(ConfigurationError, match="there is no colour to map"):
        read_feed(feed("a.csv", columns={"colour": "c"}))
    with pytest.raises(ConfigurationError, match="title is one column"):
        read_feed(feed("a.csv", columns={"title": ["a", "b"]}))
    with pytest.raises(UserError, match="this is a folder"):
        read_feed(feed(tmp_path))


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"id": range(5000), "name": [str(hash(i)) for i in range(5000)], "pic": "p"}).write_parquet(path)
    data = bytearray(path.read_bytes())
    data[4:1500] = b"\xff" * 1496
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"a\.parquet: the file is damaged"):
        read(path)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.lists(TEXT, min_size=3, max_size=3), max_size=8), st.integers(1, 4), st.sampled_from(ENCODINGS))
def test_every_csv_cell_arrives_once(
    tmp_path_factory: pytest.TempPathFactory, cells: list[list[str]], batch: int, encoding: str
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["id", "name", "pic"], *cells])
    body = MARKS.get(encoding, b"") + text.getvalue().encode(encoding)
    path = write(tmp_path_factory.mktemp("feed") / "a.csv", body)
    frames = list(read_feed(feed(path, image_separator="|"), batch_rows=batch))
    assert all(frame.height <= batch for frame in frames)
    rows = [row for f in frames for row in f.select("row_number", "listing_id", "title", "raw", "fault").iter_rows()]
    assert [(*row[:3], row[4]) for row in rows] == [(n, *row[:2], None) for n, row in enumerate(cells, 1)]
    assert [list(json.loads(row[3]).values()) for row in rows] == cells


@settings(deadline=None, max_examples=100)
@given(st.lists(st.binary(max_size=12).filter(lambda b: b.strip() and not set(b) & set(b'\n\r"')), max_size=8))
def test_every_line_of_rubbish_is_one_row(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("feed")
    body = b"\n".join(lines)
    for name, head in (("a.csv", b"id,name,pic\n"), ("a.jsonl", b'{"id": 1, "name": "n", "pic": "p"}\n')):
        frames = list(read_feed(feed(write(folder / name, head + body))))
        assert sum(f.height for f in frames) == len(lines) + (name == "a.jsonl")


@settings(deadline=None, max_examples=100)
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


@settings(deadline=None, max_examples=200)
@given(st.lists(st.text('",x', max_size=8), max_size=12))
def test_every_line_is_in_one_row_wherever_quotes_stand(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    body = "".join(f"{line}<{number}>{line}\n" for number, line in enumerate(lines))
    path = write(tmp_path_factory.mktemp("feed") / "a.csv", "id,name,pic\n" + body)
    rows = [raw for frame in read_feed(feed(path), batch_rows=5) for raw in frame["raw"]]
    assert [sum(f"<{number}>" in raw for raw in rows) for number in range(len(lines))] == [1] * len(lines)


def test_quotes_that_never_close_take_time_in_proportion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog_io.feeds.formats.text.MOST_READ_TWICE", 1_000_000)
    path = write(tmp_path / "a.csv", "id,name,pic\n" + 'a"b,"c\n' * 20_000)
    began = time.monotonic()
    assert read(path)["fault"].null_count() == 0
    assert time.monotonic() - began < 10


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
