import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from hashlib import md5
from pathlib import Path

import duckdb
import polars as pl
import pytest

from catalog_io.catalog.catalog import Catalog, Stored
from catalog_io.catalog.store_tags import Collected
from catalog_io.staging.staging import Staging
from schemas.errors import UserError
from schemas.frames import TAGGED
from schemas.taxonomy import Taxonomy
from tests.catalog_io.staged import TAXONOMY, feed_rows, store_rows

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    catalog = Catalog(tmp_path)
    catalog.create(TAXONOMY)
    return catalog


def store(catalog: Catalog, ids: str = "abc", *, title: str = "Dress", run: str = "r1", feed: str = "hm") -> Stored:
    """One listing for each letter, and a row that is rejected. The feed holds changes only: nothing is gone."""
    good = [{"listing_id": i, "product_id": f"p{i}", "title": f"{title} {i}", "pictures": [f"{i}.jpg"]} for i in ids]
    rejected = {"listing_id": "", "title": "", "raw": "{}"}
    return store_rows(catalog, feed_rows(*good, rejected), feed=feed, run=run, full=False)


def counts(stored: Stored) -> tuple[int, int, int]:
    return stored.inserted, stored.updated, stored.unchanged


def input_hash(i: str, title: str = "Dress") -> str:
    return md5(f"{title} {i}\x1fimg-{i}.jpg".encode(), usedforsecurity=False).hexdigest()


def part(
    folder: Path,
    name: str,
    ids: str,
    *,
    error: str | None = None,
    title: str = "Dress",
    color: str = "gray",
    certificate: str = "c1",
) -> Path:
    promise = {"accepted": True, "certified": True, "provisional": False}
    none = {"accepted": False, "certified": False, "provisional": True}
    tags = [
        {"attribute": "color", "value": color, "confidence": 0.97, **promise, "image_weight": 0.4},
        {"attribute": "style", "value": "maxi", "confidence": 0.5, **none, "image_weight": 0.1},
    ]
    flags = [{"kind": "mismatch", "attribute": None, "score": 0.9, "detail": "far apart"}]
    rows = [
        {
            "feed": "hm",
            "listing_id": i,
            "input_hash": input_hash(i, title),
            "certificate": certificate,
            "error": error,
            "tags": [] if error else tags,
            "flags": [] if error else flags,
        }
        for i in ids
    ]
    path = folder / name
    pl.DataFrame(rows, schema=TAGGED).write_parquet(path)
    return path


def collect(catalog: Catalog, *files: Path, model: str = "m1", engine: str = "torch") -> Collected:
    return catalog.store_tagged(files, model_version=model, engine=engine, run_id="r2", tagged_at=NOON)


def untagged(
    catalog: Catalog, model: str = "m1", engine: str = "torch", certificates: Mapping[str, str] = {}, pooled: str = "c1"
) -> pl.DataFrame:
    return catalog.untagged(model, engine, certificates=certificates, pooled=pooled)


def rows(catalog: Catalog, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(catalog.home / "work.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def dump(catalog: Catalog) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables, without the times of writing."""
    tables = dict.fromkeys(catalog.counts(), "*")
    tables |= {
        "listings": "* exclude (updated_at)",
        "rejections": "* exclude (first_seen, last_seen)",
        "picture_sources": "* exclude (checked_at)",
    }
    return {name: rows(catalog, f"select {columns} from {name} order by all") for name, columns in tables.items()}


def test_store_feed_twice_is_store_feed_once(catalog: Catalog) -> None:
    assert counts(store(catalog)) == (3, 0, 0)
    before = dump(catalog)
    assert counts(store(catalog)) == (0, 0, 3)
    assert dump(catalog) == before
    tables = {name: n for name, n in catalog.counts().items() if n}
    assert tables == {
        **{"listings": 3, "listing_images": 3, "images": 3, "picture_sources": 3},
        **{"labels": 6, "rejections": 1},
    }


def test_store_feed_touches_only_what_it_is_given(catalog: Catalog) -> None:
    store(catalog)
    store(catalog, feed="other")
    assert counts(store(catalog, "cd", title="Robe", run="r2")) == (1, 1, 0)
    assert rows(catalog, "select listing_id, title, run_id from listings where feed = 'hm' order by all") == [
        ("a", "Dress a", "r1"),
        ("b", "Dress b", "r1"),
        ("c", "Robe c", "r2"),
        ("d", "Robe d", "r2"),
    ]
    assert rows(catalog, "select image_hash, shard from images order by all") == [
        (f"img-{i}.jpg", "shard-1.parquet") for i in "abcd"
    ]
    codes = ["listing_id_missing", "title_missing"]
    reason = "the listing has no id; the listing has no title"
    assert rows(catalog, "select feed, run_id, row_number, codes, reason, raw from rejections order by all") == [
        ("hm", "r2", 3, codes, reason, "{}"),
        ("other", "r1", 4, codes, reason, "{}"),
    ]


def test_a_rejection_remembers_when_it_was_first_seen_and_heals(catalog: Catalog) -> None:
    bad = feed_rows({}, {"title": ""}, {"fault": "2 cells", "listing_id": None, "raw": "x"})
    times = "select first_seen, last_seen from rejections order by row_number"
    store_rows(catalog, bad)
    before = rows(catalog, times)
    store_rows(catalog, bad)
    after = rows(catalog, times)
    assert [first for first, _ in after] == [first for first, _ in before]
    assert all(first < last for first, last in after)
    assert store_rows(catalog, feed_rows({}, {})).rejected == 0
    assert catalog.counts()["rejections"] == 0


def test_rejections_of_a_feed_of_changes_stay_until_their_listing_comes_again(catalog: Catalog) -> None:
    def bad(*ids: str) -> pl.DataFrame:
        return feed_rows(*({"listing_id": i, "title": ""} for i in ids))

    store_rows(catalog, bad("a", "b"), full=False)
    store_rows(catalog, bad("c"), full=False)
    assert rows(catalog, "select listing_id from rejections order by all") == [("a",), ("b",), ("c",)]
    store_rows(catalog, feed_rows({"listing_id": "b"}), full=False)
    assert rows(catalog, "select listing_id from rejections order by all") == [("a",), ("c",)]


def test_listings_that_leave_a_full_feed_are_inactive_until_they_come_back(catalog: Catalog, tmp_path: Path) -> None:
    def letters(ids: str) -> Stored:
        return store_rows(catalog, feed_rows(*({"listing_id": i, "title": f"Dress {i}"} for i in ids)))

    letters("abc")
    stored = letters("ab")
    assert (stored.gone, stored.returned, *counts(stored)) == (1, 0, 0, 0, 2)
    assert rows(catalog, "select listing_id from tagged_listings order by all") == [("a",), ("b",)]
    assert untagged(catalog)["listing_id"].to_list() == ["a", "b"]
    assert catalog.listings().height == 3  # its labels still teach
    stored = letters("abc")
    assert (stored.gone, stored.returned, *counts(stored)) == (0, 1, 0, 1, 2)
    assert rows(catalog, "select count(*) from tagged_listings") == [(3,)]


def test_a_listing_whose_row_is_rejected_is_not_gone(catalog: Catalog) -> None:
    store_rows(catalog, feed_rows({}, {}))
    stored = store_rows(catalog, feed_rows({}, {"title": ""}))
    assert (stored.gone, stored.rejected, stored.unchanged) == (0, 1, 1)
    assert catalog.listings()["title"].to_list() == ["Red dress"] * 2


def test_a_feed_that_lost_most_of_its_listings_changes_nothing(catalog: Catalog) -> None:
    store_rows(catalog, feed_rows(*({} for _ in range(300))))
    before = dump(catalog)
    with pytest.raises(UserError, match=r"feed hm: 299 of its 300 listings are gone at once.*most_gone"):
        store_rows(catalog, feed_rows({"title": "Changed"}), most_gone=0.5)
    assert dump(catalog) == before
    assert store_rows(catalog, feed_rows({}), most_gone=1).gone == 299


def test_a_full_feed_without_a_readable_row_changes_nothing(catalog: Catalog) -> None:
    store_rows(catalog, feed_rows({}, {}))
    for rubbish in ((), (feed_rows({"fault": "not JSON", "listing_id": None}),)):
        with pytest.raises(UserError, match="feed hm has no row that can be read, but 2 listings are active"):
            store_rows(catalog, *rubbish, most_gone=0.5)
    assert store_rows(catalog, most_gone=1).gone == 2
    assert store_rows(catalog, most_gone=0.5).gone == 0


def test_all_pictures_are_kept_and_the_first_usable_one_is_primary(catalog: Catalog) -> None:
    store_rows(
        catalog,
        feed_rows({"pictures": ["bad.jpg", "b.jpg", "a.jpg", "b.jpg"]}, {"pictures": ["bad.jpg"]}, {"pictures": []}),
        faults=["bad.jpg"],
    )
    assert rows(catalog, "select listing_id, position, uri, image_hash, code from listing_images order by all") == [
        ("L1", 0, "bad.jpg", None, "picture_truncated"),
        ("L1", 1, "b.jpg", "img-b.jpg", None),
        ("L1", 2, "a.jpg", "img-a.jpg", None),
        ("L2", 0, "bad.jpg", None, "picture_truncated"),
    ]
    assert rows(catalog, "select listing_id, image_hash from listings order by all") == [
        ("L1", "img-b.jpg"),
        ("L2", None),
        ("L3", None),
    ]
    assert catalog.picture_faults("hm") == {"picture_truncated": 2}
    noisy = rows(catalog, "select listing_id, kind, detail, image_hash from noisy_listings order by all")
    assert noisy == [
        ("L1", "unusable_picture", "cut off (bad.jpg)", "img-b.jpg"),
        ("L2", "unusable_picture", "cut off (bad.jpg)", None),
    ]


def test_a_good_picture_stays_until_a_good_one_takes_its_place(catalog: Catalog) -> None:
    store_rows(catalog, feed_rows({}))
    stored = store_rows(catalog, feed_rows({}), faults=["a.jpg"])
    assert counts(stored) == (0, 1, 0)
    assert rows(catalog, "select image_hash, code from listing_images") == [("img-a.jpg", "picture_truncated")]
    assert rows(catalog, "select image_hash from listings") == [("img-a.jpg",)]
    assert counts(store_rows(catalog, feed_rows({}))) == (0, 1, 0)
    assert rows(catalog, "select image_hash, code from listing_images") == [("img-a.jpg", None)]


def test_rows_of_one_id_that_differ_in_pictures_only_are_one_listing(catalog: Catalog) -> None:
    same = {"listing_id": "A", "product_id": "P"}
    stored = store_rows(
        catalog,
        feed_rows({**same, "pictures": ["1.jpg"]}, {"listing_id": "B"}, {**same, "pictures": ["1.jpg"]}),
        feed_rows({**same, "pictures": ["2.jpg"]}, {**same, "title": "Other", "pictures": ["3.jpg"]}, first=4),
        feed_rows({**same, "pictures": []}, {"listing_id": "C", "title": ""}, {"listing_id": "C"}, first=6),
    )
    assert (stored.inserted, stored.rejected) == (2, 5)
    assert rows(catalog, "select listing_id, position, uri from listing_images order by all") == [
        ("A", 0, "1.jpg"),
        ("A", 1, "2.jpg"),
        ("B", 0, "a.jpg"),
    ]
    repeated = ["listing_id_duplicate"]
    assert rows(catalog, "select row_number, codes, raw from rejections order by all") == [
        (3, repeated, "row 3"),
        (5, repeated, "row 5"),
        (6, repeated, "row 6"),
        (7, ["title_missing"], "row 7"),  # the first row with an id has it, also where it is rejected
        (8, repeated, "row 8"),
    ]


def test_storing_nothing_clears_the_rejections(catalog: Catalog) -> None:
    store(catalog)
    store_rows(catalog, full=True)
    assert catalog.counts()["rejections"] == 0
    assert catalog.counts()["listings"] == 3
    assert rows(catalog, "select count(*) from tagged_listings") == [(0,)]


def test_an_ingest_of_the_same_feed_is_kept_out(catalog: Catalog) -> None:
    with Staging(catalog.home, "hm").held(), pytest.raises(UserError, match="feed hm is being ingested by another"):
        store(catalog)
    assert counts(store(catalog)) == (3, 0, 0)


def test_listings_have_their_labels_as_columns(catalog: Catalog) -> None:
    store(catalog, "a")
    assert catalog.listings().rows(named=True) == [
        {
            "feed": "hm",
            "listing_id": "a",
            "product_id": "pa",
            "title": "Dress a",
            "image_hash": "img-a.jpg",
            "shard": "shard-1.parquet",
            "input_hash": input_hash("a"),
            "split": None,
            "label_color": "gray",
            "label_style": None,
        }
    ]


def test_a_new_word_in_the_taxonomy_reaches_rows_that_are_not_read_again(catalog: Catalog) -> None:
    store(catalog)
    assert catalog.label_words_unknown("hm").rows() == [("style", "Midi", 3)]
    catalog.create(Taxonomy.from_dict({"style": {"values": {"maxi": [], "midi": []}}, "size": {"values": ["s", "m"]}}))
    assert catalog.listings()["label_style"].to_list() == ["midi"] * 3
    assert catalog.listings().columns[-2:] == ["label_style", "label_size"]
    catalog.create(TAXONOMY)
    assert catalog.listings()["label_color"].to_list() == ["gray"] * 3
    assert catalog.listings()["label_style"].to_list() == [None] * 3


def test_store_tagged_twice_is_once_and_leaves_nothing_untagged(catalog: Catalog, tmp_path: Path) -> None:
    store(catalog)
    files = part(tmp_path, "1.parquet", "ab"), part(tmp_path, "2.parquet", "c", error="out of memory")
    assert untagged(catalog).height == 3
    assert collect(catalog, *files) == Collected(tagged=2, rejected=1, accepted_tags=2, provisional_tags=2, flags=2)
    before = dump(catalog)
    assert collect(catalog, *files) == Collected(tagged=2, rejected=1, accepted_tags=2, provisional_tags=2, flags=2)
    assert dump(catalog) == before
    assert [len(before[t]) for t in ("tags", "noise_flags", "rejections")] == [4, 2, 2]
    assert untagged(catalog)["listing_id"].to_list() == ["c"]
    assert untagged(catalog, engine="openvino").height == untagged(catalog, "m2").height == 3
    assert untagged(catalog).columns == catalog.listings().columns


def test_other_certificates_make_the_listings_of_their_feed_untagged(catalog: Catalog, tmp_path: Path) -> None:
    store(catalog)
    store(catalog, "xy", feed="other")
    collect(catalog, part(tmp_path, "1.parquet", "abc"))
    assert untagged(catalog)["feed"].unique().to_list() == ["other"]
    assert untagged(catalog, pooled="c2").height == 5
    assert untagged(catalog, certificates={"hm": "c1", "x": "c3"}, pooled="c2")["listing_id"].to_list() == ["x", "y"]
    assert untagged(catalog, certificates={"hm": "c2"})["listing_id"].to_list() == ["a", "b", "c", "x", "y"]
    collect(catalog, part(tmp_path, "2.parquet", "abc", certificate="c2"))
    assert untagged(catalog, certificates={"hm": "c2"})["feed"].unique().to_list() == ["other"]


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
    later = {"run_id": "r3", "tagged_at": NOON + timedelta(days=1)}
    catalog.store_tagged([part(tmp_path, "2.parquet", "b")], model_version="m1", engine="torch", **later)
    collect(catalog, part(tmp_path, "3.parquet", "d", certificate="c2"))
    wanted = {"feed": "hm", "model_version": "m1", "engine": "torch"}
    found = catalog.newest_confidences(**wanted, certificate="c1")
    assert found.columns == ["product_id", "split", "labelled", "run_id", "attribute", "confidence"]
    assert found["product_id"].to_list()[:2] == ["pb", "pb"] and set(found["product_id"][2:]) == {"pa", "pc"}
    assert set(found["run_id"][:2]) == {"r3"} and found["labelled"].all()
    assert sorted(found.filter(product_id="pa").select("attribute", "confidence").iter_rows()) == [
        ("color", pytest.approx(0.97)),
        ("style", 0.5),
    ]
    assert catalog.newest_confidences(**wanted, certificate="c3").height == 0


def test_drift_is_kept_by_run(catalog: Catalog) -> None:
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
    with pytest.raises(duckdb.Error):
        collect(catalog, part(tmp_path, "2.parquet", "a", color="red"), tmp_path / "bad.parquet")
    assert dump(catalog) == before
    assert collect(catalog) == Collected(0, 0, 0, 0, 0)


def test_runs(catalog: Catalog) -> None:
    catalog.start_run("r1", "ingest")
    catalog.start_run("r2", "tag-catalog")
    catalog.finish_run("r1", "completed", {"read": 3})
    done = {row["run_id"]: row for row in catalog.runs().rows(named=True)}
    assert (done["r1"]["state"], done["r1"]["summary"], done["r2"]["state"]) == (
        "completed",
        '{"read": 3}',
        "running",
    )
    assert timedelta(0) <= done["r1"]["finished_at"] - done["r1"]["started_at"] < timedelta(minutes=1)
    with pytest.raises(UserError, match="no run r9"):
        catalog.finish_run("r9", "completed", {})


def test_create_twice_keeps_everything(catalog: Catalog) -> None:
    store(catalog)
    catalog.create(TAXONOMY)
    assert catalog.counts()["listings"] == 3


def test_times_are_kept_in_utc(catalog: Catalog, tmp_path: Path) -> None:
    store(catalog)
    local = NOON.astimezone(timezone(timedelta(hours=5)))
    catalog.store_tagged([part(tmp_path, "1.parquet", "a")], model_version="m", engine="e", run_id="r", tagged_at=local)
    assert rows(catalog, "select distinct tagged_at from tags") == [(NOON.replace(tzinfo=None),)]


def test_without_a_catalogue(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run `cma ingest` first"):
        Catalog(tmp_path).counts()
    assert not (tmp_path / "work.duckdb").exists()


def test_a_second_writer_waits(catalog: Catalog) -> None:
    entered, release = threading.Event(), threading.Event()

    def hold() -> None:
        with catalog._database.transaction():
            entered.set()
            release.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert entered.wait(10)
    threading.Timer(0.3, release.set).start()
    assert counts(store(Catalog(catalog.home))) == (3, 0, 0)
    holder.join()


@contextmanager
def other_process(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Runs `code` until it has printed a line; it then holds what it opened until it is killed."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "open\n"
        yield process
        process.kill()


def test_a_second_process_is_told_and_a_killed_one_blocks_nobody(catalog: Catalog) -> None:
    code = """
import pathlib, sys, time
from catalog_io.catalog.database import Database
with Database(pathlib.Path(sys.argv[1]), 1.0).transaction():
    print("open", flush=True)
    time.sleep(60)
"""
    with other_process(code, catalog.home) as process:
        with pytest.raises(UserError, match="another cma run is writing"):
            Catalog(catalog.home, lock_timeout=0.2).counts()
        process.kill()
        assert counts(store(Catalog(catalog.home, lock_timeout=5))) == (3, 0, 0)


def test_another_program_with_the_file_open_is_named(catalog: Catalog) -> None:
    code = """
import duckdb, sys, time
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
time.sleep(60)
"""
    message = r"Close the other program.*catalog\.duckdb"
    with other_process(code, catalog.home / "work.duckdb"), pytest.raises(UserError, match=message):
        catalog.counts()
