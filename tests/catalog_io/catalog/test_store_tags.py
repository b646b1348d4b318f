from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest

from catalog_io.catalog.catalog import Catalog
from catalog_io.catalog.tag_tables import Collected, Rules
from schemas.errors import DamagedFile, UserError
from tests.catalog_io.catalog.contents import NOON, collect, dump, part, rows, store, untagged


def test_store_tagged_twice_is_once_and_leaves_nothing_untagged(catalog: Catalog, tmp_path: Path) -> None:
    store(catalog)
    files = part(tmp_path, "1.parquet", "ab"), part(tmp_path, "2.parquet", "c", error="out of memory")
    assert untagged(catalog).height == 3
    counted = Collected(tagged=2, rejected=1, accepted_tags=2, provisional_tags=2, flags=2)
    assert collect(catalog, *files) == counted
    before = dump(catalog)
    assert collect(catalog, *files) == counted
    assert dump(catalog) == before
    assert [len(before[t]) for t in ("tags", "noise_flags", "rejections")] == [4, 2, 2]
    assert untagged(catalog)["listing_id"].to_list() == ["c"]
    assert untagged(catalog, pooled="r2").height == 3
    assert untagged(catalog).columns == catalog.listings().columns


def test_other_rules_make_the_listings_of_their_feed_untagged(catalog: Catalog, tmp_path: Path) -> None:
    store(catalog)
    store(catalog, "xy", feed="other")
    collect(catalog, part(tmp_path, "1.parquet", "abc"))
    assert untagged(catalog)["feed"].unique().to_list() == ["other"]
    assert untagged(catalog, pooled="r2").height == 5
    assert untagged(catalog, {"hm": "r1", "x": "r3"}, pooled="r2")["listing_id"].to_list() == ["x", "y"]
    assert untagged(catalog, {"hm": "r2"})["listing_id"].to_list() == ["x", "y", "a", "b", "c"]  # new ones first
    collect(catalog, part(tmp_path, "2.parquet", "abc"), rules={"hm": "r2"})
    assert untagged(catalog, {"hm": "r2"})["feed"].unique().to_list() == ["other"]
    assert rows(catalog, "select distinct rules from noise_flags") == [("r2",)]


def test_a_changed_title_makes_a_listing_untagged_and_hides_its_tags(catalog: Catalog, tmp_path: Path) -> None:
    store(catalog)
    collect(catalog, part(tmp_path, "1.parquet", "abc"))
    store(catalog, "b", title="Robe")
    assert untagged(catalog)["listing_id"].to_list() == ["b"]
    assert rows(catalog, "select listing_id, color, style from tagged_listings order by all") == [
        ("a", "gray", None),
        ("b", None, None),
        ("c", "gray", None),
    ]
    columns = "attribute, listings, accepted, coverage, certified, provisional"
    assert rows(catalog, f"select {columns} from tag_coverage order by all") == [
        ("color", 2, 2, 1.0, 2, 0),
        ("style", 2, 0, 0.0, 0, 2),
    ]
    assert rows(catalog, "select listing_id, attribute, value from provisional_tags order by all") == [
        ("a", "style", "maxi"),
        ("c", "style", "maxi"),
    ]
    assert rows(catalog, "select listing_id, kind, title from noisy_listings order by all") == [
        ("a", "mismatch", "Dress a"),
        ("c", "mismatch", "Dress c"),
    ]


def test_new_tags_take_the_place_of_old_ones(catalog: Catalog, tmp_path: Path) -> None:
    store(catalog)
    collect(catalog, part(tmp_path, "1.parquet", "abc"))
    collect(catalog, part(tmp_path, "2.parquet", "a", color="red"), model="m2")
    sql = "select listing_id, value, model_version, tagged_at from tags where attribute = 'color' order by all"
    noon = NOON.replace(tzinfo=None)
    assert rows(catalog, sql) == [
        ("a", "red", "m2", noon),
        ("b", "gray", "m1", noon),
        ("c", "gray", "m1", noon),
    ]
    collect(catalog, part(tmp_path, "3.parquet", "a", error="broken"))
    assert rows(catalog, sql) == [("b", "gray", "m1", noon), ("c", "gray", "m1", noon)]
    collect(catalog, part(tmp_path, "4.parquet", "a"))
    assert rows(catalog, "select count(*) from rejections where stage = 'tag'") == [(0,)]


def test_the_newest_confidences_of_a_feed_come_first(catalog: Catalog, tmp_path: Path) -> None:
    store(catalog, "abcd")
    collect(catalog, part(tmp_path, "1.parquet", "abc"))
    later = {"rules": Rules({}, "r1"), "run_id": "r3", "tagged_at": NOON + timedelta(days=1)}
    catalog.store_tagged([part(tmp_path, "2.parquet", "b")], model_version="m1", engine="torch", **later)
    collect(catalog, part(tmp_path, "3.parquet", "d", certificate="c2"))
    wanted = {"feed": "hm", "model_version": "m1", "engine": "torch"}
    found = catalog.newest_confidences(**wanted, certificate="c1")
    assert found.columns == ["product_id", "split", "run_id", "attribute", "confidence"]
    assert found["product_id"].to_list()[:2] == ["pb", "pb"] and set(found["product_id"][2:]) == {"pa", "pc"}
    assert set(found["run_id"][:2]) == {"r3"}
    assert sorted(found.filter(product_id="pa").select("attribute", "confidence").iter_rows()) == [
        ("color", pytest.approx(0.97)),
        ("style", 0.5),
    ]
    assert catalog.newest_confidences(**wanted, certificate="c3").height == 0


def test_drift_is_stored_for_each_run(catalog: Catalog) -> None:
    row = {
        **{"feed": "hm", "attribute": "color", "listings": 300, "statistic": 0.25, "p_value": 0.0, "drifted": True},
        **{"model_version": "m1", "engine": "torch", "run_id": "r1"},
    }
    catalog.store_drift(pl.DataFrame([row]))
    catalog.store_drift(pl.DataFrame([row | {"run_id": "r2"}]))
    assert rows(catalog, "select run_id, feed, attribute, listings, statistic, drifted from drift order by all") == [
        ("r1", "hm", "color", 300, 0.25, True),
        ("r2", "hm", "color", 300, 0.25, True),
    ]


def test_a_listing_in_two_parts_counts_once(catalog: Catalog, tmp_path: Path) -> None:
    store(catalog)
    files = part(tmp_path, "1.parquet", "ab", error="worker died"), part(tmp_path, "2.parquet", "ab")
    assert collect(catalog, *files) == Collected(tagged=2, rejected=0, accepted_tags=2, provisional_tags=2, flags=2)
    assert catalog.counts()["tags"] == 4


def test_a_missing_or_damaged_part_changes_nothing(catalog: Catalog, tmp_path: Path) -> None:
    store(catalog)
    collect(catalog, part(tmp_path, "1.parquet", "abc"))
    before = dump(catalog)
    with pytest.raises(UserError, match=r"gone\.parquet"):
        collect(catalog, part(tmp_path, "2.parquet", "a", color="red"), tmp_path / "gone.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 not")
    with pytest.raises(DamagedFile, match=r"bad\.parquet"):
        collect(catalog, part(tmp_path, "2.parquet", "a", color="red"), tmp_path / "bad.parquet")
    assert dump(catalog) == before
    assert not (tmp_path / "bad.parquet").exists()  # so that it is made again
    assert collect(catalog) == Collected(0, 0, 0, 0, 0)


def test_times_are_stored_in_utc(catalog: Catalog, tmp_path: Path) -> None:
    store(catalog)
    local = NOON.astimezone(timezone(timedelta(hours=5)))
    by = {"model_version": "m", "engine": "e", "rules": Rules({}, "r1"), "run_id": "r"}
    catalog.store_tagged([part(tmp_path, "1.parquet", "a")], **by, tagged_at=local)
    assert rows(catalog, "select distinct tagged_at from tags") == [(NOON.replace(tzinfo=None),)]


def test_new_listings_are_tagged_first_then_changed_ones(catalog: Catalog, tmp_path: Path) -> None:
    store(catalog)
    collect(catalog, part(tmp_path, "1.parquet", "abc"))
    store(catalog, "b", title="Robe")
    store(catalog, "xy", feed="other")
    assert untagged(catalog)["listing_id"].to_list() == ["x", "y", "b"]
    assert untagged(catalog, pooled="r2")["listing_id"].to_list() == ["x", "y", "b", "a", "c"]


def test_a_listing_that_killed_its_workers_waits_until_it_changes_or_a_week(catalog: Catalog, tmp_path: Path) -> None:
    store(catalog)
    killer = part(tmp_path, "1.parquet", "a", error="SIGSEGV", code="tag_kills_worker")
    files = killer, part(tmp_path, "2.parquet", "b", error="broken")
    by = {"model_version": "m1", "engine": "torch", "rules": Rules({}, "r1"), "run_id": "r2"}
    catalog.store_tagged(files, **by, tagged_at=datetime.now(UTC))
    assert untagged(catalog)["listing_id"].to_list() == ["b", "c"]
    assert untagged(catalog, pooled="r2")["listing_id"].to_list() == ["a", "b", "c"]
    assert catalog.killers("r2") == {"hm a": "SIGSEGV"}
    assert catalog.killers("r1") == {}
    store(catalog, "a", title="Robe")
    assert untagged(catalog)["listing_id"].to_list() == ["a", "b", "c"]
    store(catalog, "a")
    catalog.store_tagged(files, **by, tagged_at=datetime.now(UTC) - timedelta(days=8))
    assert untagged(catalog)["listing_id"].to_list() == ["a", "b", "c"]
