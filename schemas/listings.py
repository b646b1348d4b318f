"""The rules for a listing of a feed. A rule's name is the stable code of its violation; `REASONS` has the sentences."""

from collections.abc import Callable
from functools import partial

import pandera.polars as pa
import polars as pl

from schemas.cells.invisible import REVERSING
from schemas.cells.spreadsheets import is_error, is_formula, is_shortened, made_by_spreadsheet

MAX_ID_CHARACTERS = 200
MAX_TITLE_CHARACTERS = 2000
MAX_PICTURES = 100

# The names that feeds give to splits, in small letters → our names.
SPLIT_WORDS = {
    **{split: split for split in ("train", "validation", "calibration", "test")},
    **dict.fromkeys(("val", "valid", "dev"), "validation"),
}

REASONS = {
    "row_unreadable": "the row cannot be read",  # the reader of the feed adds why
    "listing_id_missing": "the listing has no id",
    "listing_id_too_long": f"the listing id is longer than {MAX_ID_CHARACTERS} characters",
    "listing_id_control_character": "the listing id holds an invisible control character",
    "listing_id_spreadsheet_error": "the listing id is an error of a spreadsheet: correct the cell and export again",
    "listing_id_formula": "the listing id is a formula of a spreadsheet: export the values of the cells",
    "listing_id_shortened": "a spreadsheet has shortened the listing id, so that several listings may have it now: "
    "format the column as text and export again",
    "title_missing": "the listing has no title",
    "title_too_long": f"the title is longer than {MAX_TITLE_CHARACTERS} characters",
    "title_control_character": "the title holds an invisible control character",
    "title_spreadsheet_error": "the title is an error of a spreadsheet: correct the cell and export again",
    "title_formula": "the title is a formula of a spreadsheet: export the values of the cells",
    "split_unknown": f"the listing's split is none of {', '.join(SPLIT_WORDS)}",
    "image_too_many": f"the listing names more than {MAX_PICTURES} pictures",
    # Found when the whole feed has been read: see `catalog_io.staging.settle`.
    "listing_id_duplicate": "an earlier row of the feed has this listing id, and this one adds no picture to it",
}

# The cell names no listing, so that two rows with the same one are not rows of one listing.
NO_ID = ("listing_id_spreadsheet_error", "listing_id_formula", "listing_id_shortened")


Rule = Callable[[pl.Expr], pl.Expr]


def _text_rules(name: str, most_characters: int) -> dict[str, Rule]:
    return {
        f"{name}_missing": lambda text: text != "",
        f"{name}_too_long": lambda text: text.str.len_chars() <= most_characters,
        f"{name}_control_character": lambda text: ~text.str.contains(rf"[\p{{Cc}}{REVERSING}]"),
        f"{name}_spreadsheet_error": lambda text: _not_made(text, is_error),
        f"{name}_formula": lambda text: _not_made(text, is_formula),
    }


def _not_made(text: pl.Expr, kind: Callable[[str], bool]) -> pl.Expr:
    return ~text.map_batches(lambda cells: made_by_spreadsheet(cells, kind), pl.Boolean, is_elementwise=True)


RULES: dict[str, dict[str, Rule]] = {
    "listing_id": {
        **_text_rules("listing_id", MAX_ID_CHARACTERS),
        "listing_id_shortened": lambda text: _not_made(text, is_shortened),
    },
    "title": _text_rules("title", MAX_TITLE_CHARACTERS),
    "split": {"split_unknown": lambda split: split.is_in(set(SPLIT_WORDS.values()))},
    "picture_count": {"image_too_many": lambda count: count <= MAX_PICTURES},
}


def _checks(name: str) -> list[pa.Check]:
    return [pa.Check(partial(_holds, rule=rule), name=code) for code, rule in RULES[name].items()]


def _holds(data: pa.PolarsData, rule: Rule) -> pl.LazyFrame:
    return data.lazyframe.select(rule(pl.col(data.key or "*")))


# A feed's rows after `clean`: text is cleaned and, except `split`, never null. A row may have no picture.
LISTINGS = pa.DataFrameSchema(
    {
        "row_number": pa.Column(int),  # 1-based over the whole feed
        "listing_id": pa.Column(str, _checks("listing_id")),
        "product_id": pa.Column(str),
        "title": pa.Column(str, _checks("title")),
        "split": pa.Column(str, _checks("split"), nullable=True),  # null: the feed gives no split
        "picture_count": pa.Column(int, _checks("picture_count")),
        "raw": pa.Column(str),
    }
)
