"""What a tagging run changes is recorded, with the cause; the rest is not."""

from datetime import timedelta
from pathlib import Path

import pytest

from catalog_io.catalog.catalog import Catalog
from catalog_io.catalog.tag_tables import Rules
from tests.catalog_io.catalog.contents import NOON, collect, part, rows, store

TAGS = "select listing_id, attribute, old_value, old_accepted, value, accepted, cause from tag_history order by all"
FLAGS = "select listing_id, kind, change, cause from flag_history order by all"


def again(
    catalog: Catalog, *files: Path, run: str, rules: str = "r1", days: float = 1, kept: int = 90
) -> dict[str, int]:
    catalog.start_run(run, "tag-catalog")
    catalog.store_tagged(
        files,
        model_version="m1",
        engine="torch",
        rules=Rules({}, rules),
        run_id=run,
        tagged_at=NOON + timedelta(days=days),
        history_days=kept,
    )
    return catalog.count_changes(run)


@pytest.fixture
def tagged(catalog: Catalog, tmp_path: Path) -> Catalog:
    store(catalog)
    collect(catalog, part(tmp_path, "1.parquet", "abc"))
    return catalog


def test_first_tags_are_no_changes_and_first_flags_are_new(tagged: Catalog) -> None:
    assert rows(tagged, TAGS) == []
    assert rows(tagged, FLAGS) == [(i, "mismatch", "raised", "new") for i in "abc"]


def test_a_changed_listing_is_a_change_and_an_equal_tag_is_none(tagged: Catalog, tmp_path: Path) -> None:
    store(tagged, "b", title="Robe")
    found = again(tagged, part(tmp_path, "2.parquet", "b", title="Robe", color="red"), run="r3")
    assert (found["changed_tags"], found["changed_by_rules"], found["flags_raised"], found["flags_removed"]) == (
        1,
        0,
        0,
        0,
    )
    change = ("b", "color", "gray", True, "red", True, "listing")
    assert rows(tagged, TAGS) == [change]
    assert rows(tagged, "select listing_id, title, old_value, value from tag_changes") == [
        ("b", "Robe b", "gray", "red")
    ]
    found = again(tagged, part(tmp_path, "3.parquet", "b", title="Robe", color="red"), run="r4", days=2)
    assert (found["changed_tags"], found["flags_raised"]) == (0, 0)
    assert rows(tagged, TAGS) == [change]
    assert rows(tagged, "select * from tag_changes") == []  # of the last run


def test_a_back_fill_is_marked_and_stays_out_of_the_views(tagged: Catalog, tmp_path: Path) -> None:
    found = again(tagged, part(tmp_path, "2.parquet", "abc", color="red"), run="r3", rules="r2")
    assert (found["changed_tags"], found["changed_by_rules"]) == (0, 3)
    assert {row[-1] for row in rows(tagged, TAGS)} == {"rules"}
    assert rows(tagged, "select * from tag_changes") == []


def test_a_listing_that_cannot_be_tagged_any_more_loses_tags_and_flags(tagged: Catalog, tmp_path: Path) -> None:
    found = again(tagged, part(tmp_path, "2.parquet", "a", error="broken"), run="r3")
    assert (found["changed_tags"], found["flags_removed"]) == (2, 1)
    assert rows(tagged, TAGS) == [
        ("a", "color", "gray", True, None, None, "failed"),
        ("a", "style", "maxi", False, None, None, "failed"),
    ]
    assert rows(tagged, "select listing_id, kind, change, cause from flag_changes") == [
        ("a", "mismatch", "removed", "failed")
    ]


def test_history_is_kept_for_so_many_days(tagged: Catalog, tmp_path: Path) -> None:
    again(tagged, part(tmp_path, "2.parquet", "a", color="red"), run="r3", days=1)
    again(tagged, part(tmp_path, "3.parquet", "b", color="red"), run="r4", days=20, kept=10)
    assert rows(tagged, "select listing_id from tag_history") == [("b",)]
    assert rows(tagged, "select count(*) from flag_history") == [(0,)]
