"""One rule for the cells of all formats: the frame is cleaned as each cell is by itself."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.cells.clean import clean, clean_id, clean_title, clean_word
from schemas.cells.null_words import NullWords
from schemas.validation import split_valid
from tests.catalog_io.staged import TAXONOMY, feed_rows

WORDS = NullWords.of(["keine"], TAXONOMY)
PARTS = [
    "\u200b",
    "\ufeff",
    "\u202e",
    "\u00a0",
    " ",
    "\n",
    "A",
    "1",
    "125.0",
    "0",
    '="',
    '"',
    "=",
    "'",
    "&amp;",
    "&nbsp;",
]
PARTS += [
    "<b>",
    "</b>",
    "<p>",
    "nan",
    "-",
    "E+12",
    "5.9",
    "#REF!",
    "=A1",
    "u",
    "\u0308",
    "\u3164",
    "keine",
    "\x07",
    "é",
    "\u212b",
]
CELLS = st.lists(st.sampled_from(PARTS), max_size=5).map("".join) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=4
)


@pytest.mark.parametrize(
    ("cell", "listing_id"),
    [
        ("A1\u200b", "A1"),
        ("\ufeffA2", "A2"),
        ('="00123"', "00123"),
        ('="\u200b00123 "', "00123"),
        ("'00124", "00124"),
        ("125.0", "125"),
        ("\u200b", ""),
        ("\u3164", ""),
        ("#N/A", ""),
        ("KEINE", ""),
        ("u\u0308", "ü"),
        ("unknown", "unknown"),
        ("5.90123E+12", "5.90123E+12"),
        ("Na", "Na"),
    ],
)
def test_ids(cell: str, listing_id: str) -> None:
    assert clean_id(cell, WORDS) == listing_id


def test_titles() -> None:
    assert clean_title(' ="Red\n dress" ', WORDS) == "Red dress"
    assert clean_title("&amp;nbsp;&#8203;", WORDS) == ""
    assert clean_title("<p>&mdash;</p>", WORDS) == ""
    assert clean_title("Red&shy;dish <br> dress", WORDS) == "Reddish dress"


def test_label_words() -> None:
    assert clean_word("Black &amp; White", "color", WORDS) == "Black & White"
    assert [clean_word(word, "color", WORDS) for word in ("Unknown", "n/a", "keine", "#REF!", "\u200b", "")] == [
        None
    ] * 6
    assert clean_word(" red\u200b ", "color", WORDS) == "red"


@settings(max_examples=150)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=6))
def test_a_frame_is_cleaned_as_its_cells_are_and_no_cleaning_changes_it_again(
    cells: list[tuple[str, str, str]],
) -> None:
    rows = feed_rows(*({"listing_id": a, "title": b, "label_word_color": c, "product_id": a} for a, b, c in cells))
    cleaned = clean(rows, WORDS)
    assert cleaned["listing_id"].to_list() == [clean_id(a, WORDS) for a, _, _ in cells]
    assert cleaned["title"].to_list() == [clean_title(b, WORDS) for _, b, _ in cells]
    assert cleaned["label_word_color"].to_list() == [clean_word(c, "color", WORDS) for _, _, c in cells]
    assert clean(cleaned, WORDS).equals(cleaned)


@settings(max_examples=50)
@given(st.lists(st.tuples(CELLS, CELLS), max_size=8))
def test_every_row_is_accepted_or_rejected_and_no_id_is_made_by_a_spreadsheet(cells: list[tuple[str, str]]) -> None:
    valid = split_valid(feed_rows(*({"listing_id": a, "title": b} for a, b in cells)), WORDS)
    numbers = [*valid.accepted["row_number"], *valid.rejected["row_number"]]
    assert sorted(numbers) == list(range(1, len(cells) + 1))
    assert not {"", "#REF!", "=A1"} & set(valid.accepted["listing_id"])
    assert not any("\u202e" in text for text in (*valid.accepted["listing_id"], *valid.accepted["title"]))


def test_a_product_id_that_is_none_falls_back_to_the_listing() -> None:
    odd = ["5.90123E+12", "#REF!", "=A2", "nan", "\u200b", None, "P1", "7.0"]
    rows = clean(feed_rows(*({"product_id": product} for product in odd)), WORDS)
    assert rows["product_id"].to_list() == ["L1", "L2", "L3", "L4", "L5", "L6", "P1", "7"]


def test_pictures_that_are_words_for_nothing_are_no_pictures() -> None:
    rows = clean(feed_rows({"pictures": ["nan", "a.jpg", b"jpeg", "\u200b", "-", "Keine", "unknown"]}), WORDS)
    assert [picture["uri"] for picture in rows["pictures"][0]] == ["a.jpg", "", "unknown"]
