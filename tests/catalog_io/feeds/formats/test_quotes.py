"""Quotes within quotes: doubled, or after a backslash, as databases write them."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.catalog_io.feeds.feed_files import read, uris, write

MYSQL = r"""id,name,pic
1,"Red \"Fit\" dress","a.jpg"
2,"Blue \"Slim\", long dress","b.jpg"
3,"Green dress","a.jpg"
4,"Belt 30\"","a.jpg"
5,"C:\dir \\ n\N",\N
6,"\"Grey\" dress","b.jpg"
7,Red\, white,"a.jpg"
8,"two
lines \"here\"","a.jpg"
"""
TITLES = ['Red "Fit" dress', 'Blue "Slim", long dress', "Green dress", 'Belt 30"', "C:\\dir \\ n\\N", '"Grey" dress']
TITLES += ["Red, white", 'two\nlines "here"']


@pytest.mark.parametrize("escape", [None, "\\"])
def test_quotes_after_backslashes(tmp_path: Path, escape: str | None) -> None:
    frame = read(write(tmp_path / "a.csv", MYSQL), escape=escape)
    assert frame["title"].to_list() == TITLES
    assert uris(frame)[4] == ["\\N"]


def test_without_the_setting_such_rows_are_rejected_and_their_reason_names_it(tmp_path: Path) -> None:
    frame = read(write(tmp_path / "a.csv", MYSQL), escape="")
    accepted = frame.filter(frame["fault"].is_null())
    assert accepted["title"].to_list() == ["Green dress", "C:\\dir \\\\ n\\N"]
    faults = frame["fault"].drop_nulls().to_list()
    assert all('set escape = "\\\\" for the feed' in fault for fault in faults if "cells where" not in fault)
    assert len(faults) == frame.height - 2


def test_a_backslash_at_the_end_of_a_cell_decides_against_escapes(tmp_path: Path) -> None:
    body = 'id,name,pic\n1,"C:\\dir\\","a"\n2,"Red \\"Fit\\" dress","b"\n3,"6"" \\","c"\n'
    frame = read(write(tmp_path / "a.csv", body))
    assert frame["title"].to_list() == ["C:\\dir\\", None, '6" \\']
    assert (
        frame["fault"][1]
        == 'a quote is within quotes; if the file writes \\" for a quote, set escape = "\\\\" for the feed'
    )


def test_json_in_a_cell_stays_as_it_is(tmp_path: Path) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([["id", "name", "pic"], ["1", "A", '["a\\"b.jpg", "c\\\\d.jpg"]']])
    assert uris(read(write(tmp_path / "a.csv", text.getvalue()))) == [['a"b.jpg', "c\\d.jpg"]]


def test_an_unclosed_quote_with_escapes_costs_one_row(tmp_path: Path) -> None:
    frame = read(write(tmp_path / "a.csv", 'id,name,pic\n1,"A \\"x\\"",a\n2,"B,b\n3,"C \\"y\\"",c\n'), escape="\\")
    assert frame["title"].to_list() == ['A "x"', None, 'C "y"']


def test_quotes_behind_spaces(tmp_path: Path) -> None:
    frame = read(write(tmp_path / "a.csv", 'id, "name", pic\n1, "Red, long",  "a.jpg"\n2, Blue "fit", b.jpg\n'))
    assert frame["title"].to_list() == ["Red, long", 'Blue "fit"']
    assert uris(frame) == [["a.jpg"], ["b.jpg"]]
    frame = read(write(tmp_path / "a.csv", 'id,name,pic\n1," Red",a\n2,Blue, b\n'))
    assert frame["raw"].to_list() == ['{"id":"1","name":" Red","pic":"a"}', '{"id":"2","name":"Blue","pic":" b"}']


@pytest.mark.parametrize("size", [200_000, 3_000_000])
def test_a_long_cell_is_read(tmp_path: Path, size: int) -> None:
    name = "x" * size + ".jpg"
    assert uris(read(write(tmp_path / "a.csv", f"id,name,pic\n1,A,{name}\n")))[0] == [name]


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r\n"])
def test_line_ends(tmp_path: Path, end: str) -> None:
    rows = ["id,name,pic", "1,Red dress,a.jpg", '2,"Blue\ndress",b.jpg']
    for body in (end.join(rows), end.join([*rows, ""])):
        assert read(write(tmp_path / "a.csv", body))["title"].to_list() == ["Red dress", "Blue\ndress"]


def test_empty_cells_at_the_end(tmp_path: Path) -> None:
    frame = read(write(tmp_path / "a.csv", "id,name,pic,,,\n1,Red dress,a.jpg,,,\n,,,,,\n"))
    assert frame["title"].to_list() == ["Red dress", ""]


LETTERS = st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('\\";,\t|\n')
CELL = st.text(LETTERS, max_size=6).filter(lambda cell: cell.strip()[:1] not in ("[", "{"))  # no list, no object


@settings(max_examples=200)
@given(
    st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=6),
    st.sampled_from(",;\t|^"),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from([None, "\\"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_writer_of_any_dialect_wrote_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    cells: list[list[str]],
    delimiter: str,
    quoting: int,
    escape: str,
    end: str,
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(
        text, delimiter=delimiter, quoting=quoting, escapechar=escape, doublequote=not escape, lineterminator=end
    )
    writer.writerows([["id", "name", "pic"], *cells])
    path = write(tmp_path_factory.mktemp("feed") / "a.csv", text.getvalue())
    frame = read(path, delimiter=delimiter, escape=escape or "", image_separator="\0")
    assert frame["fault"].to_list() == [None] * len(cells)
    assert [list(row) for row in frame.select("listing_id", "title").iter_rows()] == [row[:2] for row in cells]
