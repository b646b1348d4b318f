"""Objects, lists and booleans where an id or a title belongs: the row is rejected, and the reason says what to map."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.catalog_io.feeds.feed_files import read, write

MAP = 'map what is in it: title = "name.'


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"name": {"en": "Red", "de": "Rot"}}, f"the column 'name' holds an object, where text is needed; {MAP}en\""),
        ({"name": {"sv": "Röd"}}, f'{MAP}sv"'),
        ({"name": ["Red"]}, f'a list, where text is needed; {MAP}0"'),
        ({"name": [{"lang": "en", "value": "Red"}]}, f'a list, where text is needed; {MAP}0.value"'),
        ({"name": {"de": {"data": "Rot"}}}, f'{MAP}de.data"'),
        ({"name": True}, "the column 'name' holds true or false"),
        (
            {"id": {"$oid": "5f"}},
            "the column 'id' holds an object, where text is needed; map what is in it: listing_id = \"id.$oid\"",
        ),
        ({"id": ["A"]}, "a list"),
        ({"id": [1]}, "a list"),
        ({"id": False}, "true or false"),
        ({"group": {"code": "P"}}, 'product_id = "group.code"'),
        ({"name": {}}, None),
        ({"name": []}, None),
        ({"name": 5}, None),
        ({"name": "[NEW] Red dress"}, None),
        ({"name": "[2024]"}, None),
        ({"name": "true"}, None),
    ],
)
def test_structures_in_json_lines_and_csv(tmp_path: Path, row: dict[str, Any], fault: str | None) -> None:
    rows = [
        {"id": "1", "name": "A", "group": "P", "pic": "a"},
        {"id": "2", "name": "B", "group": "P", "pic": "b"} | row,
    ]
    columns = {"product_id": "group"}
    found = [read(write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows))), columns=columns)]
    if not isinstance(next(iter(row.values())), bool | int) and row != {"id": [1]}:  # which is text in a cell of text
        written = [{key: v if isinstance(v, str) else json.dumps(v) for key, v in row.items()} for row in rows]
        pl.DataFrame(written).write_csv(tmp_path / "a.csv")
        found.append(read(tmp_path / "a.csv", columns=columns))
    for frame in found:
        assert frame["fault"][0] is None
        assert (frame["fault"][1] or "").find(fault or "") >= 0 and (frame["fault"][1] is None) == (fault is None)
        assert frame["listing_id"][1] == (None if fault and "id" in row else "2")


def test_an_object_of_a_column_that_another_comes_before_is_no_fault(tmp_path: Path) -> None:
    rows = [{"id": "1", "name": {"en": "Red"}, "pic": "a"}, {"id": "2", "name": {"en": None}, "pic": "a"}]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    got = read(path, columns={"title": ["name.en", "name"]})
    assert got["title"][0] == "Red"
    assert [fault is None for fault in got["fault"]] == [True, False]


def test_labels_may_be_of_any_kind(tmp_path: Path) -> None:
    rows = [{"id": "1", "name": "A", "pic": "a", "is": True}, {"id": "2", "name": "A", "pic": "a", "is": ["x"]}]
    got = read(write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows))), {"a": "is"})
    assert got["fault"].null_count() == 2
    assert got["label_word_a"].to_list() == ["true", '["x"]']
