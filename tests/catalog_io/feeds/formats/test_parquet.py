"""Parquet feeds."""

import json
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from catalog_io.feeds.read import read_feed
from schemas.errors import UserError
from tests.catalog_io.feeds.feed_files import feed, read, uris


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
    ("column", "values", "said"),
    [
        ("id", [1.0], "'id' (listing_id) holds Float64"),
        ("name", [["A"]], "'name' (title) holds List"),
        ("pic", [{"shade": "x"}], "'pic' (image) holds Struct"),
        ("name", [b"A"], "holds Binary"),
    ],
)
def test_wrong_parquet_types(tmp_path: Path, column: str, values: list[Any], said: str) -> None:
    pl.DataFrame({"id": [1], "name": ["A"], "pic": ["a"]} | {column: values}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError) as fault:
        read_feed(feed(tmp_path / "a.parquet"))
    assert said in str(fault.value)


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"id": range(5000), "name": [str(hash(i)) for i in range(5000)], "pic": "p"}).write_parquet(path)
    data = bytearray(path.read_bytes())
    data[4:1500] = b"\xff" * 1496
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"a\.parquet: the file is damaged"):
        read(path)
