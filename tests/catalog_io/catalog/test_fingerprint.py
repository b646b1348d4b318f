"""After any story of feeds and nights, tags and flags are those of a fresh warehouse; before, none is out of date."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_io.catalog.catalog import Catalog
from catalog_io.catalog.tag_tables import Rules
from schemas.frames import TAGGED
from schemas.taxonomy import Taxonomy
from tests.catalog_io.catalog.contents import NOON, collect, part, rows, store, untagged
from tests.catalog_io.staged import TAXONOMY, feed_rows, store_rows

OTHER_WORDS = Taxonomy.from_dict(
    {"color": {"values": {"red": ["grey"], "gray": ["charcoal"]}}, "style": {"values": ["maxi", "mini"]}}
)
TAXONOMIES = {"first": TAXONOMY, "other": OTHER_WORDS}
COLORS = (None, "Grey", "gray", "Red", "charcoal", "no such colour")
STYLES = (None, "maxi", "mini", "Midi")

titles = st.sampled_from(("gray dress", "red dress"))
listings = st.fixed_dictionaries({"title": titles, "color": st.sampled_from(COLORS), "style": st.sampled_from(STYLES)})
feeds = st.dictionaries(st.sampled_from("abc"), listings, min_size=1)
steps = st.one_of(
    feeds.map(lambda feed: ("feed", feed)),
    st.sampled_from(("first", "other")).map(lambda name: ("taxonomy", name)),
    st.sampled_from(("r1", "r2")).map(lambda rules: ("rules", rules)),
    st.just(("night", None)),
)


def ingest(catalog: Catalog, feed: Mapping[str, Mapping[str, str | None]], taxonomy: Taxonomy) -> None:
    given = [
        {"listing_id": i, "title": x["title"], "label_word_color": x["color"], "label_word_style": x["style"]}
        for i, x in feed.items()
    ]
    store_rows(catalog, feed_rows(*given), taxonomy=taxonomy)


def night(catalog: Catalog, folder: Path, rules: str) -> int:
    """A model that reads the tag off the title. It flags colours that the tag contradicts, and all minis."""
    work = catalog.untagged(Rules({}, rules))
    out = []
    for row in work.iter_rows(named=True):
        value = row["title"].split()[0]
        tag = {"attribute": "color", "value": value, "confidence": 1, "accepted": True, "certified": True}
        tag |= {"provisional": False, "image_weight": 0}
        flag = {"score": 1.0, "detail": f"{rules}: {row['label_color']}, {row['label_style']}"}
        flags = []
        if row["label_color"] not in (None, value):
            flags.append({"kind": "label_conflict", "attribute": "color", **flag})
        if row["label_style"] == "mini":
            flags.append({"kind": "label_conflict", "attribute": "style", **flag})
        key = {name: row[name] for name in ("feed", "listing_id", "input_hash", "fingerprint")}
        out.append(key | {"certificate": "c", "code": None, "error": None, "tags": [tag], "flags": flags})
    path = folder / "part.parquet"
    pl.DataFrame(out, schema=TAGGED).write_parquet(path)
    by: dict[str, Any] = {"model_version": "m", "engine": "e", "rules": Rules({}, rules), "run_id": "r"}
    catalog.store_tagged([path], **by, tagged_at=NOON)
    assert catalog.untagged(Rules({}, rules)).height == 0
    return work.height


def shown(catalog: Catalog) -> dict[str, list[tuple[object, ...]]]:
    active = "(feed, listing_id) in (select (feed, listing_id) from listings where inactive_since is null)"
    return {
        "tags": rows(catalog, f"from tags where {active} order by all"),
        "flags": rows(catalog, f"from noise_flags where {active} order by all"),
        "tagged": rows(catalog, "from tagged_listings order by all"),
        "noisy": rows(catalog, "from noisy_listings order by all"),
    }


@given(feeds, st.lists(steps, max_size=6))
@settings(max_examples=5)
def test_every_story_ends_as_a_fresh_warehouse(
    first: Mapping[str, Mapping[str, str | None]], story: list[tuple[str, Any]]
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        feed, taxonomy, rules = first, "first", "r1"
        old, fresh = Catalog(folder / "old"), Catalog(folder / "fresh")
        old.create(TAXONOMY)
        ingest(old, feed, TAXONOMY)
        night(old, folder, rules)
        for step, value in story:
            if step == "feed":
                feed = value
                ingest(old, feed, TAXONOMIES[taxonomy])
            elif step == "taxonomy":
                taxonomy = value
                old.create(TAXONOMIES[taxonomy])
            elif step == "rules":
                rules = value
            else:
                night(old, folder, rules)
        before = shown(old)
        night(old, folder, rules)
        fresh.create(TAXONOMIES[taxonomy])
        ingest(fresh, feed, TAXONOMIES[taxonomy])
        night(fresh, folder, rules)
        expected = shown(fresh)
        assert shown(old) == expected

        def said(flags: list[tuple[object, ...]]) -> set[tuple[object, ...]]:
            return {(*row[:6], str(row[7]).split(": ")[1]) for row in flags}  # without the id of the rules

        assert said(before["noisy"]) <= said(expected["noisy"])
        assert {row for row in before["tagged"] if row[4] is not None} <= set(expected["tagged"])
        assert night(old, folder, rules) == 0


def test_an_older_catalogue_is_untagged_once_and_shows_no_flag_until_then(catalog: Catalog, tmp_path: Path) -> None:
    store(catalog)
    collect(catalog, part(tmp_path, "1.parquet", "abc"))
    assert len(rows(catalog, "from noisy_listings")) == 3
    with duckdb.connect(str(catalog.home / "work.duckdb")) as connection:
        for table in ("tags", "noise_flags"):
            connection.execute(f"alter table {table} drop column fingerprint")
            connection.execute(f"alter table {table} drop column rules")
    catalog.create(TAXONOMY)
    assert (untagged(catalog).height, rows(catalog, "from noisy_listings")) == (3, [])
    assert rows(catalog, "select count(color) from tagged_listings") == [(3,)]
    collect(catalog, part(tmp_path, "1.parquet", "abc"))
    assert (untagged(catalog).height, len(rows(catalog, "from noisy_listings"))) == (0, 3)


def test_tags_made_while_an_ingest_changed_a_label_are_those_of_the_old_label(catalog: Catalog, tmp_path: Path) -> None:
    store(catalog)
    made = part(tmp_path, "1.parquet", "abc")  # with the labels of now …
    store_rows(
        catalog,
        feed_rows(
            {
                "listing_id": "b",
                "title": "Dress b",
                "pictures": ["b.jpg"],
                "product_id": "pb",
                "label_word_color": "red",
            }
        ),
        full=False,
    )
    collect(catalog, made)  # … stored after they changed
    assert untagged(catalog)["listing_id"].to_list() == ["b"]
    assert rows(catalog, "select listing_id from noisy_listings order by 1") == [("a",), ("c",)]
    assert rows(catalog, "select count(color) from tagged_listings") == [(3,)]


@pytest.mark.parametrize("names", [("color", "style"), ("style", "color"), ("color", "style", "zone")])
def test_order_and_number_of_attributes_change_no_fingerprint(catalog: Catalog, names: tuple[str, ...]) -> None:
    store(catalog)
    before = catalog.listings()["fingerprint"].to_list()
    values = {"color": {"values": {"gray": ["grey"], "red": []}}, "style": {"values": ["maxi", "mini"]}}
    values["zone"] = {"values": ["one", "two"]}
    catalog.create(Taxonomy.from_dict({name: values[name] for name in names}))
    assert catalog.listings()["fingerprint"].to_list() == before
