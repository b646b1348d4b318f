"""JSON files that are not one object a line: arrays, printed objects, and lists within objects."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_io.feeds.read import feed_shape, read_feed
from catalog_io.feeds.settings import FeedSettings
from schemas.errors import UserError
from tests.catalog_io.feeds.feed_files import feed, read, write

ROWS = [
    {"id": "1", "name": "Röd klänning", "pic": "a.jpg", "colour": "red"},
    {"id": "2", "name": "Kjol", "pic": ["b.jpg", "c.jpg"]},
]
SHAPES = {
    "array": json.dumps(ROWS),
    "array, an object a line": "[" + ",\n".join(map(json.dumps, ROWS)) + "]\n",
    "array on lines of its own": "[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]",
    "printed array": json.dumps(ROWS, indent=1),
    "printed objects": "\n".join(json.dumps(row, indent=2) for row in ROWS),
    "objects on one line": "".join(map(json.dumps, ROWS)),
    "objects with commas": ",\n".join(map(json.dumps, ROWS)) + ",\n",
    "two arrays": json.dumps(ROWS[:1]) + "\n" + json.dumps(ROWS[1:], indent=1),
    "list in an object": json.dumps({"count": 2, "products": ROWS, "next": None}),
    "printed list in an object": json.dumps({"count": 2, "products": ROWS, "next": {"page": 2}}, indent=4),
    "list in objects": json.dumps({"status": "ok", "data": {"page": 1, "products": ROWS}}),
    "pages": "\n".join(json.dumps({"products": [row]}) for row in ROWS),
    "marks between": "\x1e" + "\n\x1e".join(json.dumps(row, indent=1) for row in ROWS),
    "lines": "\n".join(map(json.dumps, ROWS)),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
@pytest.mark.parametrize("shape", SHAPES)
def test_rows_are_found_in_any_shape(tmp_path: Path, shape: str, name: str, encoding: str) -> None:
    frame = read(write(tmp_path / name, SHAPES[shape].encode(encoding)))
    assert frame["title"].to_list() == ["Röd klänning", "Kjol"]
    assert frame["pictures"].list.len().to_list() == [1, 2]
    assert [json.loads(raw) for raw in frame["raw"]] == ROWS
    assert all("\n" not in raw for raw in frame["raw"])


@pytest.mark.parametrize("shape", sorted(SHAPES.keys() - {"pages"}))
def test_the_columns_are_found_without_a_mapping(tmp_path: Path, shape: str) -> None:
    path = write(tmp_path / "a.json", SHAPES[shape])
    assert feed_shape(FeedSettings("m", str(path))).columns == ["id", "name", "pic", "colour"]


@pytest.mark.parametrize("piece", [1, 7, 64])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_file_that_does_not_fit_into_its_head(
    tmp_path: Path, shape: str, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog_io.feeds.formats.json_items._PIECE", piece)
    monkeypatch.setattr("catalog_io.feeds.formats.text.HEAD_BYTES", 200)
    assert read(write(tmp_path / "a.json", SHAPES[shape]))["listing_id"].to_list() == ["1", "2"]


def test_the_list_that_has_the_mapped_columns_is_taken(tmp_path: Path) -> None:
    whole: dict[str, Any] = {"links": [{"href": "x"}], "items": ROWS, "sizes": [{"size": "M"}]}
    assert read(write(tmp_path / "a.json", json.dumps(whole))).height == 2


@pytest.mark.parametrize("head", [4_000_000, 200])
def test_several_lists_of_rows_are_named(tmp_path: Path, head: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog_io.feeds.formats.text.HEAD_BYTES", head)
    path = write(tmp_path / "a.json", json.dumps({"women": ROWS, "men": {"all": ROWS}}))
    said = r"a\.json: the JSON has several lists; .* with jq -c '\.women\[\]' or jq -c '\.men\.all\[\]'"
    with pytest.raises(UserError, match=said):
        list(read_feed(feed(path)))


@pytest.mark.parametrize("content", [json.dumps(ROWS)[:-9], json.dumps(ROWS)[:-1], "[{'id': 1}]", '[{"id": 1,}]'])
def test_damaged_json_is_an_error(tmp_path: Path, content: str) -> None:
    with pytest.raises(
        UserError, match=r"a\.json: the JSON is damaged after \d objects: .*fetch or write the file again"
    ):
        list(read_feed(feed(write(tmp_path / "a.json", content))))


def test_bad_elements_cost_only_themselves(tmp_path: Path) -> None:
    body = json.dumps([*ROWS, 5, "x", None]).encode()[:-1] + b', {"id": "6", "name": "\xff", "pic": ""},\n'
    body += b'{"id": "7", "name": "\\ud83d", "pic": ""}, {"id": 8, "name": "H", "pic": NaN}]'
    frame = read(write(tmp_path / "a.json", body))
    assert frame["listing_id"].to_list() == ["1", "2", None, None, None, None, None, "8"]
    faults = ["not a JSON object"] * 3 + ["not UTF-8 text", "not Unicode text"]
    assert frame["fault"].to_list() == [None, None, *faults, None]
    assert json.loads(frame["raw"][7], parse_constant=pytest.fail)["pic"] is None


def test_an_element_without_an_end_is_an_error_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("json_items", "text"):
        monkeypatch.setattr(f"catalog_io.feeds.formats.{module}.LONGEST_ROW", 100_000)
    path = write(tmp_path / "a.json", '[{"id": "1", "name": "A", "pic": ""}, {"id": "' + "x" * 5_000_000)
    with pytest.raises(UserError, match="damaged after 1 objects"):
        list(read_feed(feed(path)))


@settings(max_examples=100)
@given(
    st.lists(st.fixed_dictionaries({"id": st.integers(0), "name": st.text(st.characters(exclude_categories=["Cs"]))})),
    st.sampled_from([None, 0, 2]),
    st.booleans(),
    st.integers(1, 40),
)
def test_every_object_of_an_array_arrives_once(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], indent: int | None, ascii: bool, piece: int
) -> None:
    rows = [{**row, "pic": None} for row in rows]
    path = tmp_path_factory.mktemp("feed") / "a.json"
    path.write_text(json.dumps(rows, indent=indent, ensure_ascii=ascii), encoding="utf-8", newline="\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("catalog_io.feeds.formats.json_items._PIECE", piece)
        frames = list(read_feed(feed(path), batch_rows=3))
    read_back = [(id_, title) for frame in frames for id_, title in frame.select("listing_id", "title").iter_rows()]
    assert read_back == [(str(row["id"]), row["name"]) for row in rows]
