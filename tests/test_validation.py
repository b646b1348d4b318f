import json
import time

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.listings import REASONS
from schemas.validation import REJECTED, split_valid


def rows(*cells: dict[str, str | None]) -> pl.DataFrame:
    good = {"product_id": None, "title": "Red dress", "image": "a.jpg", "raw": "{}", "fault": None}
    return pl.DataFrame(
        [{"row_number": n, "listing_id": f"L{n}"} | good | cell for n, cell in enumerate(cells, 1)],
        schema={"row_number": pl.Int64} | dict.fromkeys(["listing_id", *good], pl.String),
    )


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
        ({"image": None}, "image_missing"),
        ({"image": "  "}, "image_missing"),
        ({"fault": "3 cells instead of 4"}, "row_unreadable"),
    ],
)
def test_each_fault_has_its_code(cell: dict[str, str | None], code: str) -> None:
    accepted, rejected = split_valid(rows({}, cell, {}))
    assert accepted["row_number"].to_list() == [1, 3]
    assert rejected["codes"].to_list() == [[code]]
    assert rejected["reasons"][0][0].startswith(REASONS[code])
    assert rejected.schema == REJECTED


def test_a_row_keeps_all_its_reasons_and_its_raw_text() -> None:
    _, rejected = split_valid(rows({"listing_id": "", "title": "", "image": "", "raw": '{"x": 1}'}))
    assert rejected.row(0, named=True) == {
        "row_number": 1,
        "listing_id": "",
        "codes": ["listing_id_missing", "title_missing", "image_missing"],
        "reasons": [REASONS[c] for c in ("listing_id_missing", "title_missing", "image_missing")],
        "raw": '{"x": 1}',
    }


def test_text_is_stripped_and_the_product_defaults_to_the_listing() -> None:
    accepted, _ = split_valid(rows({"listing_id": " A ", "title": " Red\n dress\t", "image": " a.jpg "}))
    row = accepted.row(0, named=True)
    assert (row["listing_id"], row["product_id"], row["title"], row["image"]) == (
        "A",
        "A",
        "Red dress",
        "a.jpg",
    )
    assert "fault" not in accepted.columns


def test_second_and_later_rows_with_an_id_are_rejected_also_in_later_batches() -> None:
    seen: set[str] = set()
    accepted, rejected = split_valid(rows({"listing_id": "A"}, {"listing_id": " A"}, {"listing_id": "a"}), seen)
    assert accepted["listing_id"].to_list() == ["A", "a"]
    assert rejected["codes"].to_list() == [["listing_id_duplicate"]]
    accepted, rejected = split_valid(rows({"listing_id": "A"}, {"listing_id": "B"}), seen)
    assert accepted["listing_id"].to_list() == ["B"]
    assert rejected["listing_id"].to_list() == ["A"]


def test_embedded_bytes_are_a_picture() -> None:
    frame = rows({"image": ""}, {"image": ""}).with_columns(picture=pl.Series([b"jpeg", None]))
    accepted, rejected = split_valid(frame)
    assert accepted["picture"].to_list() == [b"jpeg"]
    assert rejected["codes"].to_list() == [["image_missing"]]


def test_no_rows() -> None:
    accepted, rejected = split_valid(rows())
    assert (accepted.height, rejected.height, rejected.schema) == (0, 0, REJECTED)


def test_a_frame_of_the_wrong_shape_is_not_blamed_on_the_rows() -> None:
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        split_valid(pl.DataFrame({"row_number": [1]}))


cell = (
    st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(["A", "B", "x" * 2001])
)
row = st.fixed_dictionaries(
    {"listing_id": cell, "title": cell, "image": cell, "fault": st.sampled_from([None, None, "f"])}
)


@settings(deadline=None, max_examples=25)
@given(st.lists(row, max_size=12), st.integers(1, 12))
def test_every_row_is_in_exactly_one_frame_however_it_is_batched(
    cells: list[dict[str, str | None]], batch: int
) -> None:
    frame, seen = rows(*cells), set[str]()
    parts = [split_valid(frame.slice(i, batch), seen) for i in range(0, len(cells), batch)]
    numbers = [n for part in parts for n in (*part.accepted["row_number"], *part.rejected["row_number"])]
    assert sorted(numbers) == list(range(1, len(cells) + 1))
    whole = split_valid(frame)
    assert whole.accepted["row_number"].to_list() == [n for p in parts for n in p.accepted["row_number"]]
    assert whole.accepted["listing_id"].is_unique().all()
    assert all(whole.rejected["codes"].to_list())


def test_two_hundred_thousand_rows_take_seconds() -> None:
    n = 200_000
    frame = pl.select(row_number=pl.int_range(1, n + 1)).with_columns(
        listing_id=pl.col("row_number").cast(pl.String),
        product_id=pl.lit("p"),
        title=pl.lit("Red dress"),
        image=pl.when(pl.col("row_number") % 2 == 0).then(pl.lit("a.jpg")),
        raw=pl.lit(json.dumps({"a": 1})),
    )
    start = time.perf_counter()
    assert split_valid(frame).rejected.height == n // 2
    assert time.perf_counter() - start < 5
