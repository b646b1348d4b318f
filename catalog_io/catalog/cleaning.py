"""Removes the secrets that versions of cma-tagger stored that showed URLs with their queries."""

from collections.abc import Callable

import duckdb
import polars as pl

from catalog_io.catalog.database import Database, execute
from catalog_io.files import literal
from schemas.files import replacing
from schemas.secrets import redacted, redacted_reference, redacted_row

_TEXTS: dict[tuple[str, str], Callable[[str], str]] = {
    ("listing_images", "uri"): redacted_reference,
    ("listing_images", "reason"): redacted,
    ("picture_sources", "reason"): redacted,
    ("rejections", "reason"): redacted,
    ("rejections", "raw"): redacted_row,
    ("runs", "summary"): redacted,
}


def clean_older(database: Database) -> bool:
    """Cleans a catalogue that has no `listing_images.note` yet, in one transaction and with nothing left in free blocks
    of its file. Returns whether it did; a killed run does it again."""
    if not database.path.exists():
        return False
    with database.transaction() as connection:
        sql = "select table_name, column_name from information_schema.columns"
        columns = set(execute(connection, sql).iter_rows())
        if ("listing_images", "uri") not in columns or ("listing_images", "note") in columns:
            return False
        for (table, column), shown in _TEXTS.items():
            if (table, column) in columns:
                _clean(connection, table, column, shown)
    with database.exclusive(), replacing(database.path, sole_writer=True) as temporary, duckdb.connect() as connection:
        connection.execute(f"attach {literal(database.path)} as old")
        connection.execute(f"attach {literal(temporary)} as new")
        connection.execute("copy from database old to new")
        connection.execute("detach new")
        connection.execute("checkpoint old")  # no log may stay beside the new file
        connection.execute("detach old")
    return True


def _clean(connection: duckdb.DuckDBPyConnection, table: str, column: str, shown: Callable[[str], str]) -> None:
    sql = f"select distinct {column} as before from {table} where {column} similar to '(?s).*[/?#=@%].*'"
    before = execute(connection, sql)["before"]
    texts = pl.DataFrame({"before": before, "after": pl.Series(map(shown, before), dtype=pl.String)})
    sql = f"update {table} set {column} = t.after from texts t where {table}.{column} = t.before"
    execute(connection, sql, texts=texts.filter(pl.col("before") != pl.col("after")))
