import csv
import io
import json
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_io.sources import read_feed
from schemas.errors import ConfigurationError, UserError
from schemas.validation import split_valid

COLUMNS = {"listing_id": "id", "title": "name", "image": "pic"}
SHARED = Path(__file__).parents[2] / "shared" / "data"
HM, MYNTRA = SHARED / "hm", SHARED / "myntra"


def read(source: Path | str, labels: dict[str, str] | None = None, batch_rows: int = 10_000) -> pl.DataFrame:
    return pl.concat(read_feed(str(source), COLUMNS, labels or {}, feed="hm", batch_rows=batch_rows))


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_csv(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv",
        '\ufeffid,name, pic ,colour\n1,"Röd, ""fin""\nklänning",a.jpg, Red \n\n2,Kjol,b.jpg,\n',
    )
    frame = read(path, {"color": "colour"})
    assert frame.drop("picture", "fault").rows(named=True) == [
        {
            "row_number": 1,
            "listing_id": "1",
            "product_id": "1",
            "title": 'Röd, "fin"\nklänning',
            "image": "a.jpg",
            "label_word_color": "Red",
            "raw": '{"id": "1", "name": "Röd, \\"fin\\"\\nklänning", "pic": "a.jpg", "colour": " Red "}',
        },
        {
            "row_number": 2,
            "listing_id": "2",
            "product_id": "2",
            "title": "Kjol",
            "image": "b.jpg",
            "label_word_color": None,
            "raw": '{"id": "2", "name": "Kjol", "pic": "b.jpg", "colour": ""}',
        },
    ]
    assert frame["fault"].null_count() == frame["picture"].null_count() == 2


def test_unreadable_csv_rows_cost_only_themselves(tmp_path: Path) -> None:
    huge = "x" * 140_000
    path = write(
        tmp_path / "a.csv",
        b"id,name,pic\n1,A,a.jpg\n2,B\n3,C,c.jpg,more\n4,caf\xe9,d.jpg\n5,"
        + huge.encode()
        + b',e.jpg\n6,F,f.jpg\n7,"G,g.jpg\n8,H,h.jpg\n',
    )
    frame = read(path)
    assert frame["row_number"].to_list() == [1, 2, 3, 4, 5, 6, 7]
    assert frame["fault"].to_list() == [
        None,
        "2 cells where the first line has 3",
        "4 cells where the first line has 3",
        "not UTF-8 text",
        "field larger than field limit (131072)",
        None,
        "a quoted cell is never closed",
    ]
    assert json.loads(frame["raw"][3]) == ["4", "caf\udce9", "d.jpg"]
    accepted, rejected = split_valid(frame)
    assert (accepted.height, rejected["codes"].to_list()) == (2, [["row_unreadable"]] * 5)


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
    assert got["image"].to_list() == ["a.jpg", None]
    raw = json.loads(got["raw"][0])
    assert (str(raw["id"]), raw["when"], raw["sizes"], "blob" in raw) == ("1", "2026-01-02", ["s"], False)


def test_parquet_with_pictures_inside(tmp_path: Path) -> None:
    hub = [{"bytes": b"jpeg", "path": "x.jpg"}, {"bytes": None, "path": "y.jpg"}, None]
    pl.DataFrame({"id": [1, 2, 3], "name": "A", "pic": hub}).write_parquet(tmp_path / "hub.parquet")
    got = read(tmp_path / "hub.parquet")
    assert got["picture"].to_list() == [b"jpeg", None, None]
    assert got["image"].to_list() == ["x.jpg", "y.jpg", None]
    assert json.loads(got["raw"][0]) == {"id": 1, "name": "A"}
    pl.DataFrame({"id": [1], "name": "A", "pic": [b"jpeg"]}).write_parquet(tmp_path / "plain.parquet")
    got = read(tmp_path / "plain.parquet")
    assert (got["picture"].to_list(), got["image"].to_list()) == ([b"jpeg"], [""])


def test_rows_are_numbered_through_all_files_and_batches(tmp_path: Path) -> None:
    write(tmp_path / "b.jsonl", "".join(f'{{"id": {i}, "name": "n", "pic": "p"}}\n' for i in range(5, 8)))
    write(tmp_path / "a.csv", "id,name,pic\n" + "".join(f"{i},n,p\n" for i in range(5)))
    frames = list(read_feed(str(tmp_path / "*"), COLUMNS, {}, feed="hm", batch_rows=2))
    assert [f.height for f in frames] == [2, 2, 1, 2, 1]
    assert pl.concat(frames)["row_number"].to_list() == list(range(1, 9))
    assert pl.concat(frames)["listing_id"].to_list() == [str(i) for i in range(8)]


def test_a_name_with_a_bracket_is_a_name(tmp_path: Path) -> None:
    assert read(write(tmp_path / "feed[1].csv", "id,name,pic\n1,A,a.jpg\n")).height == 1


def test_a_header_alone_is_a_feed_without_rows(tmp_path: Path) -> None:
    assert list(read_feed(str(write(tmp_path / "a.csv", "id,name,pic\n")), COLUMNS, {}, feed="hm")) == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "", "the file is empty"),
        ("a.csv", "id,title,pic\n1,A,a\n", "no column 'name'; the columns are: id, title, pic"),
        ("a.csv", "id;name;pic\n", "parted by commas"),
        ("a.csv", "id,name,pic,name\n", "'name' stands twice"),
        ("a.csv", b"id,name,pic,f\xe4rg\n", "not UTF-8"),
        ("a.csv", "id,name,pic\n".encode("utf-16"), "not UTF-8"),
        ("a.jsonl", '{"id": 1, "pic": "a"}\n', "no column 'name'; the columns are: id, pic"),
        ("a.parquet", "PAR1 is not enough", "not a Parquet file"),
        ("a.xlsx", "PK", "a feed cannot be .xlsx"),
        ("a", "id,name,pic", "a file without an ending"),
    ],
)
def test_whole_file_faults_are_raised_before_anything_is_read(
    tmp_path: Path, name: str, content: str | bytes, said: str
) -> None:
    write(tmp_path / name, content)
    with pytest.raises(UserError) as fault:
        read_feed(str(tmp_path / name), COLUMNS, {}, feed="hm")
    assert said in str(fault.value) and str(tmp_path / name) in str(fault.value)


def test_the_second_file_of_a_glob_is_checked_before_the_first_is_read(tmp_path: Path) -> None:
    write(tmp_path / "1.csv", "id,name,pic\n1,A,a\n")
    write(tmp_path / "2.csv", "id,pic\n1,a\n")
    with pytest.raises(UserError, match=r"2\.csv: there is no column 'name'"):
        read_feed(str(tmp_path / "*.csv"), COLUMNS, {}, feed="hm")


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
        read_feed(str(tmp_path / "a.parquet"), COLUMNS, {}, feed="hm")
    assert said in str(fault.value)


def test_no_file_and_no_mapping(tmp_path: Path) -> None:
    for source in ("no.csv", "*.csv"):
        with pytest.raises(UserError, match="there is no file"):
            read_feed(str(tmp_path / source), COLUMNS, {}, feed="hm")
    with pytest.raises(ConfigurationError, match=r"feeds\.hm\.columns: image is not mapped"):
        read_feed("a.csv", {"listing_id": "id", "title": "name"}, {}, feed="hm")
    with pytest.raises(ConfigurationError, match="there is no colour to map"):
        read_feed("a.csv", COLUMNS | {"colour": "c"}, {}, feed="hm")


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"id": range(5000), "name": [str(hash(i)) for i in range(5000)], "pic": "p"}).write_parquet(path)
    data = bytearray(path.read_bytes())
    data[4:1500] = b"\xff" * 1496
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"a\.parquet: the file is damaged"):
        read(path)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), min_size=3, max_size=3),
        max_size=8,
    ),
    st.integers(1, 4),
)
def test_every_csv_cell_arrives_once(
    tmp_path_factory: pytest.TempPathFactory, cells: list[list[str]], batch: int
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["id", "name", "pic"], *cells])
    path = write(tmp_path_factory.mktemp("feed") / "a.csv", text.getvalue())
    frames = list(read_feed(str(path), COLUMNS, {}, feed="hm", batch_rows=batch))
    rows = [row for f in frames for row in f.select("row_number", "listing_id", "title", "image", "fault").iter_rows()]
    assert rows == [(n, *row, None) for n, row in enumerate(cells, 1)]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(max_size=12).filter(lambda b: b.strip() and not set(b) & set(b'\n\r"')), max_size=8))
def test_every_line_of_rubbish_is_one_row(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("feed")
    body = b"\n".join(lines)
    for name, head in (("a.csv", b"id,name,pic\n"), ("a.jsonl", b'{"id": 1, "name": "n", "pic": "p"}\n')):
        frames = list(read_feed(str(write(folder / name, head + body)), COLUMNS, {}, feed="hm"))
        assert sum(f.height for f in frames) == len(lines) + (name == "a.jsonl")


@pytest.mark.skipif(not HM.exists(), reason="the real catalogues are beside the project")
def test_real_feeds() -> None:
    columns = {
        "listing_id": "article_id",
        "title": "prod_name",
        "image": "image",
        "product_id": "product_code",
    }
    hm = pl.concat(read_feed(str(HM / "listings.csv"), columns, {"color": "colour"}, feed="hm"))
    assert (hm.height, hm["fault"].null_count()) == (10_107, 10_107)
    first = next(read_feed(str(MYNTRA / "*.parquet"), _myntra_columns(), {"color": "baseColour"}, feed="m"))
    assert split_valid(first).accepted["picture"].null_count() == 0


def _myntra_columns() -> dict[str, str]:
    names = pl.read_parquet_schema(next(MYNTRA.glob("*.parquet"))).names()
    return {"listing_id": "id", "title": next(n for n in names if "name" in n.lower()), "image": "image"}
