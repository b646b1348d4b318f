"""Splits a feed's rows into valid listings and rejected rows, with every reason for a rejection."""

from typing import NamedTuple

import polars as pl
from pandera.errors import SchemaErrors

from schemas.cells.clean import clean
from schemas.cells.null_words import NULL_WORDS, NullWords
from schemas.listings import LISTINGS, NO_ID, REASONS, RULES, SPLIT_WORDS

_USUAL = NullWords()
REJECTED = pl.Schema(
    {
        "row_number": pl.Int64(),
        "listing_id": pl.String(),
        "codes": pl.List(pl.String()),
        "reasons": pl.List(pl.String()),
        "raw": pl.String(),
    }
)


class Validated(NamedTuple):
    """Each row of the input is in one of the two, in the input's order."""

    accepted: pl.DataFrame  # the input's columns without `fault` and with `split`, text cleaned
    rejected: pl.DataFrame  # REJECTED
    # Row number and pictures of rejected rows that lack only a title: they may continue the listing of an earlier row.
    untitled: pl.DataFrame


def split_valid(rows: pl.DataFrame, null_words: NullWords = _USUAL) -> Validated:
    """Cleans and checks each row by itself. Columns: row_number, listing_id, product_id, title, pictures, raw; optional
    split, label_word_<attribute>, and fault (why the row could not be read)."""
    rows = _clean(rows, null_words)
    unreadable = pl.col("fault").is_not_null()
    readable = rows.filter(~unreadable)
    failures = _failures(readable)
    indexed = readable.with_columns(index=pl.int_range(pl.len(), dtype=pl.Int64))
    accepted = indexed.join(failures, on="index", how="anti", maintain_order="left")
    broken_rules = indexed.join(failures, on="index", how="inner", maintain_order="left")
    broken_rows = rows.filter(unreadable).with_columns(
        codes=pl.concat_list(pl.lit("row_unreadable")),
        reasons=pl.concat_list(pl.format("{}: {}", pl.lit(REASONS["row_unreadable"]), "fault")),
    )
    rejected = pl.concat([f.select(REJECTED.names()).cast(REJECTED) for f in (broken_rules, broken_rows)])
    named = pl.col("codes").list.set_intersection(list(NO_ID)).list.len() == 0
    rejected = rejected.with_columns(listing_id=pl.when(named).then("listing_id").otherwise(pl.lit("")))
    untitled = broken_rules.filter(pl.col("codes") == ["title_missing"]).select("row_number", "pictures")
    result = Validated(accepted.drop("index", "fault"), rejected.sort("row_number", maintain_order=True), untitled)
    if result.accepted.height + result.rejected.height != rows.height:
        raise AssertionError(f"{rows.height} rows became {result.accepted.height} + {result.rejected.height}")
    return result


def _clean(rows: pl.DataFrame, null_words: NullWords) -> pl.DataFrame:
    rows = rows.with_columns(pl.lit(None, pl.String).alias(n) for n in ("split", "fault") if n not in rows.columns)
    written = pl.col("split").cast(pl.String).str.strip_chars()
    split = pl.when(~written.is_in(NULL_WORDS)).then(written.str.to_lowercase().replace({"": None, **SPLIT_WORDS}))
    number = pl.col("row_number").cast(pl.Int64)
    return clean(rows.with_columns(split.alias("split"), pl.col("raw").fill_null(""), number), null_words)


def _failures(rows: pl.DataFrame) -> pl.DataFrame:
    """One row for each row that breaks a rule: index, codes, reasons."""
    checked = rows.select(
        *("row_number", "listing_id", "product_id", "title", "split", "raw"),
        picture_count=pl.col("pictures").list.len().fill_null(0).cast(pl.Int64),
    )
    kept = [rule(pl.col(name)).fill_null(True) for name, rules in RULES.items() for rule in rules.values()]
    index = checked.select(broken=~pl.all_horizontal(kept))["broken"].arg_true()
    schema = pl.Schema({"index": pl.Int64(), "codes": REJECTED["codes"], "reasons": REJECTED["reasons"]})
    if index.is_empty() and checked.height:
        return pl.DataFrame(schema=schema)
    try:
        LISTINGS.validate(checked[index], lazy=True)
        return pl.DataFrame(schema=schema)
    except SchemaErrors as errors:
        cases = errors.failure_cases
    if cases["index"].null_count():  # the frame's own shape is wrong: our fault, not the feed's
        raise TypeError(f"not a frame of listings: {cases.select('column', 'check').rows()}")
    order = pl.Enum(list(REASONS))
    return pl.DataFrame(
        cases.select(index[cases["index"]].cast(pl.Int64).alias("index"), code=pl.col("check").cast(order))
        .sort("index", "code")
        .group_by("index", maintain_order=True)
        .agg(
            codes=pl.col("code").cast(pl.String),
            reasons=pl.col("code").cast(pl.String).replace_strict(REASONS),
        )
        .match_to_schema(schema)
    )
