"""Merchants' label words and the taxonomy's values for them."""

import polars as pl
import sqlalchemy as sa

from catalog_io.catalog.database import execute
from schemas.taxonomy import Taxonomy


def with_values(words: pl.DataFrame, taxonomy: Taxonomy) -> pl.DataFrame:
    """attribute, word → attribute, word, value: the taxonomy's value, null where it knows none. Rows are unique."""
    values = [
        taxonomy[attribute].value_of(word) if attribute in taxonomy.names else None
        for attribute, word in words.iter_rows()
    ]
    return words.with_columns(pl.Series("value", values, pl.String)).unique()


def update_values(connection: sa.Connection, taxonomy: Taxonomy) -> None:
    """Updates the values of stored labels to the taxonomy, since rows that did not change are not read again."""
    stored = execute(connection, "select distinct attribute, word, value from labels where word is not null")
    changed = with_values(stored.drop("value"), taxonomy).join(
        stored, on=["attribute", "word", "value"], how="anti", nulls_equal=True
    )
    sql = """update labels set value = m.value from changed_words m
             where labels.attribute = m.attribute and labels.word = m.word"""
    execute(connection, sql, changed_words=changed)
