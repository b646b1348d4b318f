"""Objects, lists and formulas that name pictures, in the formats that have objects and in those that have text only."""

import base64
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_io.feeds.picture_cells import PICTURES, pictures
from catalog_io.feeds.picture_values import Entry, pictures_of_text, pictures_of_value
from tests.catalog_io.feeds.feed_files import read, uris, write


def names(entries: list[Entry]) -> list[str]:
    return [entry["uri"].strip() for entry in entries if (entry["uri"] or "").strip()]


OBJECTS: list[tuple[Any, list[str]]] = [
    # Amazon Reviews 2018 and 2023
    ([{"thumb": "t", "large": "a", "hi_res": None}, {"thumb": "t", "large": "b", "hi_res": "c"}], ["a", "c"]),
    ({"hi_res": [None, "b"], "large": ["a", "c"], "variant": ["MAIN", "PT01"]}, ["a", "b"]),
    # Shopify, REST and GraphQL; WooCommerce; BigCommerce
    ([{"id": 1, "position": 1, "src": "a"}], ["a"]),
    ({"edges": [{"node": {"originalSrc": "a"}}, {"node": {"url": "b"}}]}, ["a", "b"]),
    ([{"id": 7, "src": "a", "name": "", "alt": "x"}], ["a"]),
    # Airtable, Strapi, Cloudinary, schema.org, Hugging Face
    ([{"id": "att1", "url": "a", "filename": "x", "thumbnails": {"small": {"url": "t"}}}], ["a"]),
    ({"data": [{"attributes": {"url": "a"}}, {"attributes": {"url": "b"}}]}, ["a", "b"]),
    ({"public_id": "x", "secure_url": "a"}, ["a"]),
    ({"@type": "ImageObject", "contentUrl": "a"}, ["a"]),
    ({"bytes": None, "path": "a"}, ["a"]),
    ([["a", "b"], ["c"]], ["a", "b", "c"]),
    ({"small": "s", "original": {"href": "a"}}, ["a"]),
    # PHP, Unsplash, and keys of shops' own
    ({"0": "a", "1": "b"}, ["a", "b"]),
    ({"urls": {"raw": "a", "small": "s"}}, ["a"]),
    ({"id": 5, "picture_url": "a", "page_url": "p"}, ["a"]),
    ({"main": {"url": "a"}, "gallery": [{"url": "b"}]}, ["a"]),
    ([{"src": ""}, {"src": None}, {}], []),
]


@pytest.mark.parametrize(("value", "found"), OBJECTS)
def test_objects_that_name_pictures(tmp_path: Path, value: Any, found: list[str]) -> None:
    assert names(pictures_of_value(value, None)) == found
    for text in (json.dumps(value), repr(value)):
        assert names(pictures_of_text(text, ",")) == found
    rows = [{"id": "1", "name": "A", "pic": value}, {"id": "2", "name": "B", "pic": None}]
    lines = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert uris(read(lines)) == [found, []]
    table = pl.DataFrame([{"id": "1", "name": "A", "pic": repr(value)}, {"id": "2", "name": "B", "pic": "b.jpg"}])
    table.write_csv(tmp_path / "a.csv")
    assert uris(read(tmp_path / "a.csv")) == [found, ["b.jpg"]]


@pytest.mark.parametrize("value", [value for value, found in OBJECTS if found and value != [["a", "b"], ["c"]]])
def test_objects_of_parquet(tmp_path: Path, value: Any) -> None:
    pl.DataFrame([{"id": "1", "name": "A", "pic": value}]).write_parquet(tmp_path / "a.parquet")
    assert uris(read(tmp_path / "a.parquet")) == [names(pictures_of_value(value, None))]


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ('=HYPERLINK("https://shop.example/a.jpg","a, b")', ["https://shop.example/a.jpg"]),
        ('=IMAGE("https://shop.example/a.jpg")', ["https://shop.example/a.jpg"]),
        ("a.jpg (https://v5.example/x/a.jpg)", ["https://v5.example/x/a.jpg"]),
        (
            "red, 1 (2).jpg (https://v5.example/a),b.jpg (https://v5.example/b)",
            ["https://v5.example/a", "https://v5.example/b"],
        ),
        ("![red](https://shop.example/a.jpg)", ["https://shop.example/a.jpg"]),
        ('<p><img class="x" src="https://shop.example/a.jpg"/></p>', ["https://shop.example/a.jpg"]),
        ("['a.jpg' 'b.jpg']", ["a.jpg", "b.jpg"]),
        ("('a.jpg', 'b.jpg')", ["a.jpg", "b.jpg"]),
        ("[https://shop.example/a, https://shop.example/b]", ["https://shop.example/a", "https://shop.example/b"]),
        ('{a.jpg,"b c.png"}', ["a.jpg", "b c.png"]),
        ("https://shop.example/a(https://b)", ["https://shop.example/a(https://b)"]),
        ("[b].jpg", ["[b].jpg"]),
        ("[1]", ["[1]"]),
        ("photo (1).jpg", ["photo (1).jpg"]),
        ("a.jpg,b.jpg", ["a.jpg", "b.jpg"]),
        ("=A1", ["=A1"]),
    ],
)
def test_text_that_names_pictures_in_its_own_way(tmp_path: Path, cell: str, found: list[str]) -> None:
    pl.DataFrame({"id": ["1", "2"], "name": ["A", "B"], "pic": [cell, "c.jpg,d.jpg"]}).write_csv(tmp_path / "a.csv")
    assert uris(read(tmp_path / "a.csv", image_separator=",")) == [found, ["c.jpg", "d.jpg"]]


def test_values_that_name_no_picture_are_shown() -> None:
    assert names(pictures_of_value({"id": 5, "page_url": "p"}, None)) == ['{"id": 5, "page_url": "p"}']
    data = bytes(range(256))
    assert pictures_of_value({"type": "Buffer", "data": list(data)}, None) == [{"uri": None, "data": data}]
    assert names(pictures_of_value([{"url": 5}], None)) == ['[{"url": 5}]'[1:-1]]
    (pixels,) = names(pictures_of_value([[[255, 0, 0]] * 500], None))
    assert pixels.endswith("…") and len(pixels) < 400
    assert len(names(pictures_of_value([0.5] * 1000, None))) == 1
    deep: Any = "a.jpg"
    for _ in range(900):
        deep = [deep]
    assert len(names(pictures_of_value(deep, None))) == 1


def test_embedded_pictures(tmp_path: Path) -> None:
    data = b"\xff\xd8\xff\xe0" + bytes(range(200))
    text = base64.b64encode(data).decode()
    uri = f"data:image/jpeg;base64,{text}"
    cells = [text, uri, f"{uri},{uri}", json.dumps([uri]), json.dumps({"bytes": text, "path": None}), "a.jpg"]
    pl.DataFrame({"id": range(6), "name": "A", "pic": cells}).write_csv(tmp_path / "a.csv")
    got = read(tmp_path / "a.csv", image_separator=",")["pictures"].to_list()
    assert [[picture["data"] for picture in row] for row in got] == [
        [data],
        [data],
        [data, data],
        [data],
        [data],
        [None],
    ]


CELLS = st.none() | st.sampled_from(
    ["a.jpg", " b.jpg ", "", "['a', 'b']", "[", '{"src": "a"}', "x (https://a)", "a,b", "[1]"]
)


@settings(max_examples=50)
@given(st.lists(CELLS, max_size=8), st.sampled_from([None, ","]))
def test_a_column_is_read_as_its_cells_are(cells: list[str | None], separator: str | None) -> None:
    column = pictures(pl.Series("pic", cells, dtype=pl.String), separator)
    assert column.dtype == PICTURES
    assert [names(row) for row in column.to_list()] == [names(pictures_of_value(cell, separator)) for cell in cells]
