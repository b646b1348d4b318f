"""The rules for a listing of a feed. A rule's name is the stable code of its violation; `REASONS` has the sentences."""

from collections.abc import Callable

import pandera.polars as pa
import polars as pl

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
    "title_missing": "the listing has no title",
    "title_too_long": f"the title is longer than {MAX_TITLE_CHARACTERS} characters",
    "title_control_character": "the title holds an invisible control character",
    "split_unknown": f"the listing's split is none of {', '.join(SPLIT_WORDS)}",
    "image_too_many": f"the listing names more than {MAX_PICTURES} pictures",
    # Found when the whole feed has been read: see `catalog_io.staging.settle`.
    "listing_id_duplicate": "an earlier row of the feed has this listing id, and this one adds no picture to it",
}


def _rule(code: str, holds: Callable[[pl.Expr], pl.Expr]) -> pa.Check:
    return pa.Check(lambda data: data.lazyframe.select(holds(pl.col(data.key))), name=code)


def _text_rules(name: str, most_characters: int) -> list[pa.Check]:
    return [
        _rule(f"{name}_missing", lambda text: text != ""),
        _rule(f"{name}_too_long", lambda text: text.str.len_chars() <= most_characters),
        _rule(f"{name}_control_character", lambda text: ~text.str.contains(r"\p{Cc}")),
    ]


# A feed's rows after column mapping: text is stripped and, except `split`, never null. A row may have no picture.
LISTINGS = pa.DataFrameSchema(
    {
        "row_number": pa.Column(int),  # 1-based over the whole feed
        "listing_id": pa.Column(str, _text_rules("listing_id", MAX_ID_CHARACTERS)),
        "product_id": pa.Column(str),
        "title": pa.Column(str, _text_rules("title", MAX_TITLE_CHARACTERS)),
        # null: the feed gives no split
        "split": pa.Column(
            str, _rule("split_unknown", lambda split: split.is_in(set(SPLIT_WORDS.values()))), nullable=True
        ),
        "picture_count": pa.Column(int, _rule("image_too_many", lambda count: count <= MAX_PICTURES)),
        "raw": pa.Column(str),
    }
)
