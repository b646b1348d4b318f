"""Splits a feed's rows into those that can become listings and those that cannot, with every reason."""

from typing import NamedTuple

import polars as pl
from pandera.errors import SchemaErrors

from schemas.listings import REASONS, SPLIT_WORDS, ListingSchema

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
    """Every row of the input is in exactly one of the two, in the input's order.

    accepted: the input's columns without `fault` and with `split`, text stripped. rejected: REJECTED.
    """

    accepted: pl.DataFrame
    rejected: pl.DataFrame


def split_valid(rows: pl.DataFrame) -> Validated:
    """Checks each row by itself (row_number, listing_id, product_id, title, pictures, raw; optional split, fault,
    labels)."""
    rows = _clean(rows)
    unreadable = pl.col("fault").is_not_null()
    readable = rows.filter(~unreadable)
    failures = _failures(readable)
    position = pl.int_range(pl.len(), dtype=pl.Int64).alias("index")
    accepted = readable.with_columns(position).join(failures, on="index", how="anti", maintain_order="left")
    broken_rules = readable.with_columns(position).join(failures, on="index", how="inner", maintain_order="left")
    broken_rows = rows.filter(unreadable).with_columns(
        codes=pl.concat_list(pl.lit("row_unreadable")),
        reasons=pl.concat_list(pl.format("{}: {}", pl.lit(REASONS["row_unreadable"]), "fault")),
    )
    rejected = pl.concat([f.select(REJECTED.names()).cast(REJECTED) for f in (broken_rules, broken_rows)])
    result = Validated(accepted.drop("index", "fault"), rejected.sort("row_number", maintain_order=True))
    if result.accepted.height + result.rejected.height != rows.height:
        raise AssertionError(f"{rows.height} rows became {result.accepted.height} + {result.rejected.height}")
    return result


def _clean(rows: pl.DataFrame) -> pl.DataFrame:
    optional = [pl.lit(None, pl.String).alias(name) for name in ("split", "fault") if name not in rows.columns]
    rows = rows.with_columns(optional)
    text = [pl.col(c).cast(pl.String).fill_null("").str.strip_chars() for c in ("listing_id", "product_id")]
    # A line break or tab inside a title is layout, not damage.
    title = pl.col("title").cast(pl.String).fill_null("").str.replace_all(r"\s+", " ").str.strip_chars()
    split = pl.col("split").cast(pl.String).str.strip_chars().str.to_lowercase().replace({"": None, **SPLIT_WORDS})
    return rows.with_columns(
        *text, title, split, pl.col("raw").fill_null(""), pl.col("row_number").cast(pl.Int64)
    ).with_columns(product_id=pl.when(pl.col("product_id") == "").then("listing_id").otherwise("product_id"))


def _failures(rows: pl.DataFrame) -> pl.DataFrame:
    """One row for each row that breaks a rule: index, codes, reasons."""
    checked = rows.select(
        *("row_number", "listing_id", "product_id", "title", "split", "raw"),
        picture_count=pl.col("pictures").list.len().fill_null(0).cast(pl.Int64),
    )
    none = pl.DataFrame(schema={"index": pl.Int64, "codes": REJECTED["codes"], "reasons": REJECTED["reasons"]})
    try:
        ListingSchema.validate(checked, lazy=True)
        return none
    except SchemaErrors as errors:
        cases = errors.failure_cases
    if cases["index"].null_count():  # the frame's own shape is wrong: our fault, not the feed's
        raise TypeError(f"not a frame of listings: {cases.select('column', 'check').rows()}")
    order = pl.Enum(list(REASONS))
    broken: pl.DataFrame = (
        cases.select(pl.col("index").cast(pl.Int64), code=pl.col("check").cast(order))
        .sort("index", "code")
        .group_by("index", maintain_order=True)
        .agg(
            codes=pl.col("code").cast(pl.String),
            reasons=pl.col("code").cast(pl.String).replace_strict(REASONS),
        )
        .match_to_schema(none.schema)
    )
    return broken
