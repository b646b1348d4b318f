"""A catalogue that has seen other feeds becomes the same as one that only sees the latest."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_io.catalog.catalog import Catalog
from tests.catalog_io.staged import TAXONOMY, feed_rows, store_rows

STORED = st.lists(
    st.fixed_dictionaries(
        {
            "listing_id": st.sampled_from("AABCD"),
            "title": st.sampled_from(["T", "T", "T", "U", ""]),
            "pictures": st.lists(st.sampled_from(["p", "q", "r"]), max_size=3),
            "label_word_color": st.sampled_from(["red", "red", "Grey", "mauve", None]),
        }
    ),
    max_size=7,
)

FAULTS = st.lists(st.sampled_from(["p", "q", "r"]), unique=True, max_size=2)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """One for all examples, which are feeds of their own in it."""
    catalog = Catalog(tmp_path_factory.mktemp("home"))
    catalog.create(TAXONOMY)
    return catalog


@settings(max_examples=15)
@given(STORED, FAULTS, STORED, FAULTS)
def test_a_catalogue_becomes_what_its_latest_feed_says(
    catalog: Catalog,
    before: list[Mapping[str, Any]],
    faults_before: list[str],
    latest: list[Mapping[str, Any]],
    faults: list[str],
) -> None:
    name = uuid4()  # not drawn by hypothesis, which repeats values: the feed of another example would not be fresh
    used, fresh = f"{name}-used", f"{name}-fresh"
    store_rows(catalog, feed_rows(*before), feed=used, faults=faults_before)
    for feed in (used, fresh):
        store_rows(catalog, feed_rows(*latest), feed=feed, faults=faults, run="r2")
    wanted, is_there = active(catalog, fresh), active(catalog, used)
    # A listing stays as it was while its row in the feed is rejected; one that is in no row becomes inactive.
    kept = is_there["listings"].keys() - wanted["listings"].keys()
    assert kept <= {row["listing_id"] for row in before} & {row["listing_id"] for row in latest}
    assert is_there.pop("rejections") == wanted.pop("rejections")
    for table, rows in is_there.items():
        assert {key: row for key, row in rows.items() if key not in kept} == wanted[table]


def active(catalog: Catalog, feed: str) -> dict[str, dict[str, list[tuple[Any, ...]]]]:
    """A feed's rows by table and listing, of active listings only; of a picture that fails now, without the last good
    one, which only a feed with a past has."""
    queries = {
        "listings": "select listing_id, product_id, title from listings where feed = $feed and inactive_since is null",
        "pictures": """select i.listing_id, position, uri, code, reason, case when code is null then i.image_hash end
                       from listing_images i join listings using (feed, listing_id)
                       where feed = $feed and inactive_since is null""",
        "labels": """select listing_id, attribute, source, word, value
                     from labels join listings using (feed, listing_id)
                     where feed = $feed and inactive_since is null""",
        "rejections": "select listing_id, row_number, codes from rejections where feed = $feed",
    }
    found: dict[str, dict[str, list[tuple[Any, ...]]]] = {}
    with duckdb.connect(str(catalog.home / "work.duckdb"), read_only=True) as connection:
        for table, sql in queries.items():
            rows = found[table] = {}
            for key, *values in connection.execute(f"{sql} order by all", {"feed": feed}).fetchall():
                rows.setdefault(key, []).append(tuple(values))
    return found
