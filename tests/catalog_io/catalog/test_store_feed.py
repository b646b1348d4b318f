from pathlib import Path

import duckdb
import polars as pl
import pytest

from catalog_io.catalog.catalog import Catalog
from catalog_io.catalog.feed_tables import Stored
from catalog_io.staging.staging import Staging
from schemas.errors import UserError
from schemas.taxonomy import Taxonomy
from tests.catalog_io.catalog.contents import counts, dump, fingerprint, input_hash, rows, store, untagged
from tests.catalog_io.staged import TAXONOMY, feed_rows, store_rows


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


def test_a_second_ingest_of_the_same_feed_is_refused(catalog: Catalog) -> None:
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
            "fingerprint": fingerprint("a"),
            "split": None,
            "label_color": "gray",
            "label_style": "Midi",
        }
    ]


def test_a_new_word_in_the_taxonomy_reaches_rows_that_are_not_read_again(catalog: Catalog) -> None:
    store(catalog)
    words = [("color", "value", None, 3), ("style", "outside", "Midi", 3)]
    assert catalog.label_words("hm").rows() == words
    catalog.create(Taxonomy.from_dict({"style": {"values": {"maxi": [], "midi": []}}, "size": {"values": ["s", "m"]}}))
    assert catalog.listings()["label_style"].to_list() == ["midi"] * 3
    assert catalog.listings().columns[-3:] == ["label_style", "label_size", "shard"]
    catalog.create(TAXONOMY)
    assert catalog.listings()["label_color"].to_list() == ["gray"] * 3
    assert catalog.listings()["label_style"].to_list() == ["Midi"] * 3


def test_words_that_say_none_of_these_are_kept_apart_from_words_that_say_nothing(catalog: Catalog) -> None:
    words = ("Midi", "Midi", "see picture", "maxi", None)
    given = [{"listing_id": str(n), "label_word_style": word} for n, word in enumerate(words)]
    store_rows(catalog, feed_rows(*given))
    shown = [("color", "value", None, 5), ("style", "outside", "Midi", 2), ("style", "unusable", "see picture", 1)]
    assert catalog.label_words("hm").rows() == [*shown, ("style", "value", None, 1)]
    strict = TAXONOMY.to_dict()
    strict["style"]["unknown_words"] = "unusable"
    catalog.create(Taxonomy.from_dict(strict))
    assert rows(catalog, "select count(*) from labels where outside") == [(0,)]
    catalog.create(TAXONOMY)
    assert catalog.label_words("hm").rows()[:3] == shown
    store_rows(catalog, feed_rows(*given[1:]))  # a listing that is gone is not shown
    assert catalog.label_words("hm").rows()[1] == ("style", "outside", "Midi", 1)


def test_an_older_catalogue_learns_which_words_are_outside(catalog: Catalog) -> None:
    store(catalog)
    before = dump(catalog)
    with duckdb.connect(str(catalog.home / "work.duckdb")) as connection:
        connection.execute("alter table labels drop column outside")
    catalog.create(TAXONOMY)
    assert dump(catalog) == before
    assert rows(catalog, "select distinct word, outside from labels order by 1") == [("Grey", False), ("Midi", True)]
