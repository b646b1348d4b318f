import json
import time
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_io.feeds.columns import PICTURES
from schemas.listings import REASONS
from schemas.validation import REJECTED, split_valid
from tests.catalog_io.staged import feed_rows


def rows(*cells: dict[str, Any]) -> pl.DataFrame:
    return feed_rows(*({"raw": "{}"} | cell for cell in cells))


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ({"listing_id": None}, "listing_id_missing"),
        ({"listing_id": " \u3000"}, "listing_id_missing"),
        ({"listing_id": "x" * 201}, "listing_id_too_long"),
        ({"listing_id": "a\x00b"}, "listing_id_control_character"),
        ({"listing_id": "a\nb"}, "listing_id_control_character"),
        ({"title": None}, "title_missing"),
        ({"title": " \n\t"}, "title_missing"),
        ({"title": "x" * 2001}, "title_too_long"),
        ({"title": "bell\x07"}, "title_control_character"),
        ({"pictures": ["a.jpg"] * 101}, "image_too_many"),
        ({"fault": "3 cells instead of 4"}, "row_unreadable"),
    ],
)
def test_each_fault_has_its_code(cell: dict[str, Any], code: str) -> None:
    accepted, rejected, _ = split_valid(rows({}, cell, {}))
    assert accepted["row_number"].to_list() == [1, 3]
    assert rejected["codes"].to_list() == [[code]]
    assert rejected["reasons"][0][0].startswith(REASONS[code])
    assert rejected.schema == REJECTED


def test_a_row_keeps_all_its_reasons_and_its_raw_text() -> None:
    _, rejected, _ = split_valid(rows({"listing_id": "", "title": "", "raw": '{"x": 1}'}))
    assert rejected.row(0, named=True) == {
        "row_number": 1,
        "listing_id": "",
        "codes": ["listing_id_missing", "title_missing"],
        "reasons": [REASONS[c] for c in ("listing_id_missing", "title_missing")],
        "raw": '{"x": 1}',
    }


def test_text_is_stripped_and_the_product_defaults_to_the_listing() -> None:
    accepted, _, _ = split_valid(rows({"listing_id": " A ", "title": " Red\n dress\t"}))
    row = accepted.row(0, named=True)
    assert (row["listing_id"], row["product_id"], row["title"]) == ("A", "A", "Red dress")
    assert "fault" not in accepted.columns


def test_a_split_is_known_by_its_usual_words() -> None:
    words = [" Train ", "VAL", "valid", "dev", "validation", "calibration", "test", "", None, "holdout", "1"]
    frame = rows(*({"listing_id": f"of {word}"} for word in words)).with_columns(
        split=pl.Series(words, dtype=pl.String)
    )
    accepted, rejected, _ = split_valid(frame)
    assert accepted["split"].to_list() == ["train", *["validation"] * 4, "calibration", "test", None, None]
    assert rejected["codes"].to_list() == [["split_unknown"]] * 2
    assert split_valid(rows({})).accepted["split"].to_list() == [None]


def test_a_listing_without_a_picture_is_a_listing() -> None:
    accepted, rejected, _ = split_valid(rows({"pictures": []}, {"pictures": [b"jpeg"]}))
    assert (accepted.height, rejected.height) == (2, 0)
    assert accepted["pictures"].to_list() == [[], [{"uri": "", "data": b"jpeg"}]]


def test_no_rows() -> None:
    accepted, rejected, _ = split_valid(rows())
    assert (accepted.height, rejected.height, rejected.schema) == (0, 0, REJECTED)


def test_a_frame_of_the_wrong_shape_is_not_blamed_on_the_rows() -> None:
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        split_valid(pl.DataFrame({"row_number": [1]}))


cell = (
    st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(["A", "B", "x" * 2001])
)
pictures = st.lists(st.sampled_from(["a.jpg", "b.jpg", b"jpeg"]), max_size=3) | st.just(["a.jpg"] * 101)
row = st.fixed_dictionaries(
    {"listing_id": cell, "title": cell, "pictures": pictures, "fault": st.sampled_from([None, None, "f"])}
)


@settings(max_examples=25)
@given(st.lists(row, max_size=12), st.integers(1, 12))
def test_every_row_is_in_exactly_one_frame_however_it_is_batched(cells: list[dict[str, Any]], batch: int) -> None:
    frame = rows(*cells)
    parts = [split_valid(frame.slice(i, batch)) for i in range(0, len(cells), batch)]
    numbers = [n for part in parts for n in (*part.accepted["row_number"], *part.rejected["row_number"])]
    assert sorted(numbers) == list(range(1, len(cells) + 1))
    whole = split_valid(frame)
    assert whole.accepted["row_number"].to_list() == [n for p in parts for n in p.accepted["row_number"]]
    assert all(whole.rejected["codes"].to_list())


def test_two_hundred_thousand_rows_take_seconds() -> None:
    n = 200_000
    frame = pl.select(row_number=pl.int_range(1, n + 1)).with_columns(
        listing_id=pl.col("row_number").cast(pl.String),
        product_id=pl.lit("p"),
        title=pl.when(pl.col("row_number") % 2 == 0).then(pl.lit("Red dress")),
        pictures=pl.lit([], PICTURES),
        raw=pl.lit(json.dumps({"a": 1})),
    )
    start = time.perf_counter()
    assert split_valid(frame).rejected.height == n // 2
    assert time.perf_counter() - start < 5
