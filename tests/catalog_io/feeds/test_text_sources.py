"""Text of several columns or of a template: product ids of parents, and picture paths made from ids."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_io.feeds.text_sources import TextSource, filled_template, template_columns
from schemas.errors import UserError
from tests.catalog_io.feeds.feed_files import read, uris, write


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("images/{id:.3}/{id}.jpg", ["id", "id"]),
        ("{a b}", ["a b"]),
        ("{id:.3f}", ["id:.3f"]),
        ("{a:b:.2}", ["a:b"]),
        ("{}", []),
        ("{{id}}", ["id"]),
        ("image", []),
    ],
)
def test_a_template_names_its_columns(text: str, columns: list[str]) -> None:
    assert template_columns(text) == columns


@given(st.lists(st.tuples(st.text(max_size=5) | st.none(), st.text(max_size=5) | st.none()), max_size=6))
def test_a_template_is_filled_or_null(cells: list[tuple[str | None, str | None]]) -> None:
    rows = pl.DataFrame(cells, schema={"a": pl.String, "^b$": pl.String}, orient="row")
    stripped = [tuple("" if c is None else pl.Series([c]).str.strip_chars()[0] for c in row) for row in cells]
    expected = [f"x/{a[:2]}/{b}.jpg" if a and b else None for a, b in stripped]
    assert filled_template("x/{a:.2}/{^b$}.jpg", rows).to_list() == expected
    assert TextSource(("^b$", "a")).cells(rows).to_list() == [b or a or None for a, b in stripped]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.csv", "id,name,sku,parent\n0101,A,S,\n0102,B,, S \n0103,C,,\n"),
        (
            "a.jsonl",
            '{"id": "0101", "name": "A", "sku": "S", "parent": null}\n{"id": "0102", "name": "B", "parent": " S "}\n'
            '{"id": "0103", "name": "C"}\n',
        ),
    ],
)
def test_products_of_parents_and_pictures_by_id(tmp_path: Path, name: str, body: str) -> None:
    columns = {"image": ["i/{id:.3}/{id}.jpg"], "product_id": ["parent", "sku", "id:{id}"]}
    frame = read(write(tmp_path / name, body), columns=columns)
    assert frame["product_id"].to_list() == ["S", "S", "id:0103"]
    assert uris(frame) == [[f"i/010/010{n}.jpg"] for n in (1, 2, 3)]


def test_a_column_that_a_template_lacks_is_named(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", "id,name\n1,A\n")
    with pytest.raises(UserError, match="there is no column 'sku'"):
        read(source, columns={"image": "{sku}.jpg"})
    pl.DataFrame({"id": [1], "name": ["A"], "tags": [["x"]]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError, match="'tags'"):
        read(tmp_path / "a.parquet", columns={"image": "{tags}.jpg"})
    assert uris(read(tmp_path / "a.parquet", columns={"image": "p/{id}.jpg"})) == [["p/1.jpg"]]


def test_column_names_are_no_patterns(tmp_path: Path) -> None:
    body = "^a$,^b$,^c$,^d$\n1,A,a.jpg|b.jpg,Red\n"
    columns = {"listing_id": "^a$", "title": "^b$", "image": "^c$", "product_id": ["^d$"]}
    frame = read(write(tmp_path / "a.csv", body), {"color": "^d$"}, columns=columns, image_separator="|")
    assert uris(frame) == [["a.jpg", "b.jpg"]]
    assert frame["label_word_color"].to_list() == ["Red"]
