"""Paths into objects (`title = "title.en"`), in every format, and structures in the place of text."""

import json
import sqlite3
from pathlib import Path

import polars as pl
import pytest

from catalog_io.feeds.read import read_feed
from schemas.errors import UserError
from tests.catalog_io.feeds.feed_files import feed, read, uris, write

COLUMNS = {"listing_id": "id", "title": "name.en", "image": ["media.0.src", "media.1.src"], "product_id": "of.code"}
LABELS = {"color": "attributes.colour"}
ROWS = [
    {
        "id": "1",
        "name": {"sv": "Röd", "en": "Red"},
        "media": [{"src": "a.jpg"}, {"src": "b.jpg"}],
        "of": {"code": "P"},
        "attributes": {"colour": "navy"},
    },
    {"id": "2", "name": {"sv": "Blå", "en": None}, "media": [], "of": {"code": None}, "attributes": {"colour": None}},
    {"id": "3", "name": None, "media": None, "of": None, "attributes": None},
]


def write_json_lines(path: Path) -> str:
    return str(write(path / "a.jsonl", "\n".join(map(json.dumps, ROWS))))


def write_csv(path: Path) -> str:
    """Objects are JSON in the first row, and what Python prints in the second."""
    printed = [
        [json.dumps(v) if v else v for v in ROWS[0].values()],
        [str(v) for v in ROWS[1].values()],
        ["3", *[None] * 4],
    ]
    frame = pl.DataFrame(printed, schema=dict.fromkeys(ROWS[0], pl.String), orient="row")
    frame.with_columns(id=pl.Series(["1", "2", "3"])).write_csv(path / "a.csv")
    return str(path / "a.csv")


def write_parquet(path: Path) -> str:
    pl.DataFrame(ROWS).write_parquet(path / "a.parquet")
    return str(path / "a.parquet")


@pytest.mark.parametrize("written", [write_json_lines, write_csv, write_parquet])
def test_a_path_reaches_into_objects(tmp_path: Path, written: object) -> None:
    assert callable(written)
    got = read(written(tmp_path), LABELS, columns=COLUMNS)
    assert got.select("listing_id", "title", "product_id", "label_word_color").rows() == [
        ("1", "Red", "P", "navy"),
        ("2", None, None, None),
        ("3", None, None, None),
    ]
    assert uris(got) == [["a.jpg", "b.jpg"], [], []]


def test_a_path_reaches_into_json_of_a_database(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("create table t (id, name, pic)")
        database.execute("insert into t values (1, ?, ?)", (json.dumps({"en": "Red"}), json.dumps({"big": ["a.jpg"]})))
    database.close()
    source = f"sqlite:///{tmp_path}/a.db"
    got = read(source, query="select * from t", columns={"title": "name.en", "image": "pic.big"})
    assert (got["title"].to_list(), uris(got)) == (["Red"], [["a.jpg"]])


def test_a_column_of_that_very_name_comes_first(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'id,name,name.en,pic\n1,"{""en"": ""in the object""}",its own,p\n')
    assert read(path, columns={"title": "name.en"})["title"].to_list() == ["its own"]
    line = {"id": 1, "a.b": {"c.d": "X"}, "a": {"b": {"c.d": "Y"}}, "pic": "p"}
    path = write(tmp_path / "a.jsonl", json.dumps(line))
    assert read(path, columns={"title": "a.b.c.d"})["title"].to_list() == ["X"]


def test_the_error_names_a_path(tmp_path: Path) -> None:
    path = write_parquet(tmp_path)
    with pytest.raises(UserError, match=r"'name' \(title\) holds Struct.* a path into this one, such as name\.sv"):
        read_feed(feed(path, columns={"title": "name", "image": "id"}))
    with pytest.raises(UserError, match=r"'name\.de' \(title\) holds nothing of that name"):
        read_feed(feed(path, columns={"title": "name.de", "image": "id"}))
    with pytest.raises(UserError, match=r"there is no column 'nam\.en'"):
        read_feed(feed(write_csv(tmp_path), columns={"title": "nam.en", "image": "id"}))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.csv", "\u200bid,na\u00adme\u200b,\u2060pic \n1,A,a.jpg\n"),
        ("a.jsonl", '{"\ufeffid": 1, "name\u200b": "A", "pic": "a.jpg"}\n'),
        ("a.jsonl", '{"\\ufeffid": 1, " name": "A", "pic": "a.jpg"}\n'),
    ],
)
def test_invisible_characters_in_names_of_columns(tmp_path: Path, name: str, body: str) -> None:
    """MuseumofModernArt/collection#3, opengovsg/postmangovsg#88."""
    for columns in ({}, {"listing_id": "id\u200b"}):
        rows = read(write(tmp_path / name, body), columns=columns)
        assert rows.select("listing_id", "title").rows() == [("1", "A")]
        assert uris(rows) == [["a.jpg"]]


def test_a_name_in_either_form_of_unicode(tmp_path: Path) -> None:
    body = '{"id": 1, "nom de\\u0301pose\\u0301": "A", "pic": "a"}\n'
    assert read(write(tmp_path / "a.jsonl", body), columns={"title": "nom déposé"})["title"].to_list() == ["A"]
