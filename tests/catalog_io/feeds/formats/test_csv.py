"""CSV and TSV feeds."""

import csv
import io
import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_io.feeds.read import read_feed
from schemas.errors import ConfigurationError
from tests.catalog_io.feeds.feed_files import ENCODINGS, MARKS, feed, read, uris, write


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
    huge = "x" * 10_000_000
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
        "more than 10,000,000 characters",
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


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@settings(max_examples=100)
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


@settings(max_examples=200)
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
