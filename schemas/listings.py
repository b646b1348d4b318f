"""The rules for one listing of a feed. A check's name is its stable code; `REASONS` says it in words."""

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

MAX_ID_CHARACTERS = 200
MAX_TITLE_CHARACTERS = 2000
MAX_PICTURES = 100

# The words by which feeds name the parts of a data set (in small letters), and ours for them.
SPLIT_WORDS = {
    **{split: split for split in ("train", "validation", "calibration", "test")},
    **dict.fromkeys(("val", "valid", "dev"), "validation"),
}

REASONS = {
    "row_unreadable": "the row cannot be read",  # the source adds what is wrong with it
    "listing_id_missing": "the listing has no id",
    "listing_id_too_long": f"the listing id is longer than {MAX_ID_CHARACTERS} characters",
    "listing_id_control_character": "the listing id holds an invisible control character",
    "title_missing": "the listing has no title",
    "title_too_long": f"the title is longer than {MAX_TITLE_CHARACTERS} characters",
    "title_control_character": "the title holds an invisible control character",
    "split_unknown": f"the listing's split is none of {', '.join(SPLIT_WORDS)}",
    "image_too_many": f"the listing names more than {MAX_PICTURES} pictures",
    # Of the feed as a whole, so found when all of it has been read: see `catalog_io.staging.settle`.
    "listing_id_duplicate": "an earlier row of the feed has this listing id, and this one adds no picture to it",
}


def _each(data: PolarsData, holds: pl.Expr) -> pl.LazyFrame:
    return data.lazyframe.select(holds)


class ListingSchema(pa.DataFrameModel):
    """A feed's rows after column mapping, stripped and, but for `split`, without nulls.

    A row without a picture is a listing, too.
    """

    row_number: int  # 1-based over the whole feed
    listing_id: str
    product_id: str
    title: str
    split: str = pa.Field(nullable=True)  # as SPLIT_WORDS has it; null: the feed gives none
    picture_count: int
    raw: str

    @pa.check("listing_id", name="listing_id_missing")
    def _id_present(cls, data: PolarsData) -> pl.LazyFrame:
        return _each(data, pl.col(data.key) != "")

    @pa.check("listing_id", name="listing_id_too_long")
    def _id_short(cls, data: PolarsData) -> pl.LazyFrame:
        return _each(data, pl.col(data.key).str.len_chars() <= MAX_ID_CHARACTERS)

    @pa.check("listing_id", name="listing_id_control_character")
    def _id_visible(cls, data: PolarsData) -> pl.LazyFrame:
        return _each(data, ~pl.col(data.key).str.contains(r"\p{Cc}"))

    @pa.check("title", name="title_missing")
    def _title_present(cls, data: PolarsData) -> pl.LazyFrame:
        return _each(data, pl.col(data.key) != "")

    @pa.check("title", name="title_too_long")
    def _title_short(cls, data: PolarsData) -> pl.LazyFrame:
        return _each(data, pl.col(data.key).str.len_chars() <= MAX_TITLE_CHARACTERS)

    @pa.check("title", name="title_control_character")
    def _title_visible(cls, data: PolarsData) -> pl.LazyFrame:
        return _each(data, ~pl.col(data.key).str.contains(r"\p{Cc}"))

    @pa.check("split", name="split_unknown")
    def _split_known(cls, data: PolarsData) -> pl.LazyFrame:
        return _each(data, pl.col(data.key).is_in(set(SPLIT_WORDS.values())))

    @pa.check("picture_count", name="image_too_many")
    def _pictures_few(cls, data: PolarsData) -> pl.LazyFrame:
        return _each(data, pl.col(data.key) <= MAX_PICTURES)
