"""Rows without a title that continue an earlier listing, as the rows of variants and more pictures in Shopify's CSV."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from catalog_io.staging.settle import settle
from catalog_io.staging.staging import Staging
from schemas.validation import split_valid
from tests.catalog_io.staged import TAXONOMY, feed_rows


def settled(folder: Path, *rows: Mapping[str, Any]) -> tuple[int, dict[str, list[str]], dict[int, list[str]], set[str]]:
    """The number of accepted rows, the pictures by listing, the codes by rejected row, and the pictures to fetch."""
    staging = Staging(folder, "shop", TAXONOMY.names)
    with staging.held():
        for number, row in enumerate(rows, 1):
            staging.add(split_valid(feed_rows(row, first=number)))
        accepted = settle(staging)
        listings, pictures, rejections, references = (
            pl.read_parquet(staging.settled(name)) for name in ("listings", "pictures", "rejections", "references")
        )
    uris: dict[str, list[str]] = {listing_id: [] for listing_id in listings["listing_id"].sort()}
    for listing_id, uri in pictures.sort("listing_id", "position").select("listing_id", "uri").iter_rows():
        uris[listing_id].append(uri)
    return accepted, uris, dict(rejections.select("row_number", "codes").iter_rows()), set(references["uri"])


def test_untitled_rows_continue_the_listing_of_their_id(tmp_path: Path) -> None:
    accepted, pictures, rejected, _ = settled(
        tmp_path,
        {"listing_id": "a", "pictures": ["1", "2"]},
        {"listing_id": "b"},
        {"listing_id": "a", "title": None, "pictures": ["3"], "label_word_color": "Navy"},
        {"listing_id": "a", "title": " ", "pictures": []},
        {"listing_id": "a", "title": None, "pictures": ["3", "1"], "product_id": "P"},
        {"listing_id": "a", "title": None, "pictures": ["4", "3"]},
    )
    assert (accepted, rejected) == (6, {})
    assert pictures == {"a": ["1", "2", "3", "4"], "b": ["a.jpg"]}


def test_an_untitled_row_alone_is_rejected_and_nothing_of_it_is_fetched(tmp_path: Path) -> None:
    accepted, pictures, rejected, fetched = settled(
        tmp_path,
        {"listing_id": "a", "title": None, "pictures": ["1"]},
        {"listing_id": "a", "pictures": ["2"]},
        {"listing_id": "a", "title": None, "pictures": ["3"]},
        {"listing_id": "b", "title": "bell\x07", "pictures": ["4"]},
        {"listing_id": "b", "title": None, "pictures": ["5"]},
        {"listing_id": "c", "title": None, "pictures": ["6"]},
        {"listing_id": "", "title": None, "pictures": ["7"]},
        {"listing_id": "d", "pictures": ["8"]},
        {"listing_id": "d", "title": None, "pictures": ["9"] * 101},
    )
    twice = "listing_id_duplicate"
    assert (accepted, pictures) == (1, {"d": ["8"]})
    assert rejected == {
        1: ["title_missing"],
        2: [twice],
        3: ["title_missing", twice],
        4: ["title_control_character"],
        5: ["title_missing", twice],
        6: ["title_missing"],
        7: ["listing_id_missing", "title_missing"],
        9: ["title_missing", "image_too_many", twice],
    }
    assert fetched == {"2", "8"}  # a repeated row's pictures are known before it is found to be one


def test_the_pictures_of_a_listing_are_bounded(tmp_path: Path) -> None:
    variants = [{"listing_id": "a", "title": None, "pictures": [f"{n}"]} for n in range(101)]
    sizes = [{"listing_id": "a", "title": None, "pictures": []}] * 9
    accepted, pictures, rejected, _ = settled(tmp_path, {"listing_id": "a", "pictures": ["first"]}, *variants, *sizes)
    assert len(pictures["a"]) == 100
    assert (accepted, rejected) == (109, {101: ["image_too_many"], 102: ["image_too_many"]})
