"""Titles in several languages, and ids as MongoDB exports them, are found within objects."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from catalog_io.feeds.read import read_feed
from flows.cli.init.starter import write_starter
from flows.project.settings import load_settings

RED = {"en": "Red dress", "de": "Rotes Kleid"}


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ([{"id": 1, "title": RED}, {"id": 2, "title": {"en": "Blue", "de": "Blau"}}], {"title": "title.en"}),
        ([{"id": 1, "title": {"de_DE": "Rotes Kleid"}}], {"title": "title.de_DE"}),
        (
            [{"_id": {"$oid": "5f1"}, "title": "Red"}, {"_id": {"$oid": "5f2"}, "title": "Red"}],
            {"listing_id": "_id.$oid"},
        ),
        ([{"_id": {"$oid": "5f1"}, "title": RED}], {"listing_id": "_id.$oid", "title": "title.en"}),
        (
            [{"id": 1, "title": "Red"}, {"id": 2, "title": {"x": "no language"}}, {"id": 3, "title": RED}],
            {"title": "title"},
        ),
    ],
)
def test_keys_of_objects_are_found(tmp_path: Path, rows: list[dict[str, Any]], columns: dict[str, str]) -> None:
    (tmp_path / "feed.jsonl").write_text("\n".join(json.dumps({**row, "image": "a.jpg"}) for row in rows))
    started = write_starter(tmp_path, str(tmp_path / "feed.jsonl"))
    (feed,) = load_settings(started.config).feeds.values()
    assert columns.items() <= dict(feed.columns).items()
    if "title" not in columns.values():
        assert pl.concat(read_feed(feed))["fault"].null_count() == len(rows)
        assert all(any(f'"{path}"' in note for note in started.guess.notes) for path in columns.values())


def test_structs_of_parquet_have_keys_too(tmp_path: Path) -> None:
    rows = [{"id": 1, "title": RED, "image": "a.jpg"}]
    pl.DataFrame(rows).write_parquet(tmp_path / "feed.parquet")
    (feed,) = load_settings(write_starter(tmp_path, str(tmp_path / "feed.parquet")).config).feeds.values()
    assert feed.columns["title"] == "title.en"
