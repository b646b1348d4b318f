"""JSON-lines feeds."""

import json
from pathlib import Path

import pytest

from tests.catalog_io.feeds.feed_files import read, write


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


def test_numbers_that_are_not_json(tmp_path: Path) -> None:
    frame = read(write(tmp_path / "a.jsonl", '{"id": 1, "name": "A", "pic": "p", "price": NaN}\n'))
    assert json.loads(frame["raw"][0], parse_constant=pytest.fail)["price"] is None
