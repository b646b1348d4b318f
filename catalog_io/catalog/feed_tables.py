"""What ingests read from the catalogue, and write to it: listings, pictures, label words and rejections of a feed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import polars as pl

from catalog_io.catalog import feed_statements as statements
from catalog_io.catalog.database import Database, execute, now
from catalog_io.files import as_pattern, literal
from catalog_io.staging.staging import Staging
from schemas.errors import UserError
from schemas.frames import LABEL_WORD_PREFIX
from schemas.pictures import PIXEL_RULES
from schemas.taxonomy import Taxonomy

FEW_GONE = 100  # listings that may be gone at once, however small the feed is


class Stored(NamedTuple):
    """The number of rows that an ingest rejected, and of listings by what happened to them."""

    rejected: int
    inserted: int
    updated: int
    unchanged: int
    returned: int  # some of the updated: they were gone before
    gone: int
    without_picture: int  # without any usable one


class FeedTables:
    """The part of `Catalog` for ingests."""

    _database: Database

    def write_references(self, feed: str, staging: Staging, root: str) -> Path:
        """Writes the feed's picture references as Parquet, in the same order every time, and returns the path.

        Columns: key, uri; stamp, picture_size, pixel_rules, code, checked_at, which are null for a new reference and
        where the feed's picture root was another one than `root`.
        """
        path = staging.settled("known")
        sql = f"""copy (select r.key, r.uri, s.stamp, s.picture_size, s.pixel_rules, s.code, s.checked_at
                        from read_parquet($references) r left join picture_sources s
                            on s.feed = $feed and s.key = r.key and coalesce(s.root, $root) = $root
                        order by r.uri, r.key) to {literal(path)} (format parquet)"""
        values = {"feed": feed, "root": root, "references": as_pattern(staging.settled("references"))}
        self._database.execute(sql, values)
        return path

    def store_feed(
        self,
        staging: Staging,
        done: Sequence[Path],
        images: pl.DataFrame,
        *,
        run_id: str,
        taxonomy: Taxonomy,
        root: str,
        picture_size: int,
        full: bool = True,
        most_gone: float = 1.0,
    ) -> Stored:
        """Stores what changed in a settled feed: listings, pictures, labels, rejections, and listings that are gone.

        `root`: the feed's picture root without secrets; `done`: files of PICTURE_DONE; `images`: image_hash, width,
        height, bytes, perceptual_hash, shard of the new ones. UserError, and nothing changes, where more than the share
        `most_gone` of the listings is gone at once.
        """
        values = {"run_id": run_id, "now": now(), "full": full, "feed": staging.feed}
        values |= {"root": root, "picture_size": picture_size, "pixel_rules": PIXEL_RULES}
        values["done"] = [as_pattern(path) for path in done]
        with self._database.transaction() as connection:

            def run(sql: str, **frames: pl.DataFrame) -> pl.DataFrame:
                return execute(connection, sql, values, **frames)

            for name in ("listings", "pictures", "rejections"):
                source = literal(as_pattern(staging.settled(name)))
                run(f"create or replace temp view new_{name} as select * from read_parquet({source})")
            if done:
                for statement in statements.REMEMBER_SOURCES:
                    run(statement)
            for statement in statements.PREPARE:
                run(statement)
            if run(statements.COUNT_LOST).item():
                raise AssertionError(f"feed {staging.feed}: a picture of a listing was neither known nor processed")
            gone = _mark_gone(connection, values, most_gone) if full else 0
            counts = run(statements.COUNT).row(0, named=True)
            run(statements.STORE_IMAGES, new_images=images)
            for statement in statements.STORE:
                run(statement)
            for column in staging.words:
                attribute = column.removeprefix(LABEL_WORD_PREFIX)
                words = run(f"select distinct '{attribute}' as attribute, {column} as word from changed")
                meant = _with_meanings(words.drop_nulls(), taxonomy)
                run(statements.STORE_LABELS.format(attribute=attribute, column=column), meant=meant)
            for statement in statements.STORE_REJECTIONS:
                run(statement)
            return Stored(gone=gone, **counts)

    def label_words(self, feed: str) -> pl.DataFrame:
        """attribute, meaning (value, outside or unusable), word, listings: the merchant's labels of the feed's active
        listings, the most frequent words first. The words of values are one row, without a word."""
        sql = """select attribute, if(value is not null, 'value', if(outside, 'outside', 'unusable')) as meaning,
                     if(value is null, word, null) as word, count(*) as listings
                 from labels b semi join (from listings where inactive_since is null) l using (feed, listing_id)
                 where feed = $feed and source = 'merchant'
                 group by all order by attribute, meaning, listings desc, word"""
        return self._database.execute(sql, {"feed": feed})

    def reasons(self, feed: str, run_id: str) -> dict[str, int]:
        """The number of rows of the feed that this run rejected, by code, the most frequent first."""
        sql = """select code, count(*) as n from (select unnest(codes) as code from rejections
                 where feed = $feed and run_id = $run and stage = 'ingest') group by code order by n desc, code"""
        return dict(self._database.execute(sql, {"feed": feed, "run": run_id}).iter_rows())

    def picture_faults(self, feed: str) -> dict[str, int]:
        """The number of unusable pictures of the feed's active listings, by code, the most frequent first."""
        sql = """select code, count(*) as n from unusable_pictures where feed = $feed
                 group by code order by n desc, code"""
        return dict(self._database.execute(sql, {"feed": feed}).iter_rows())

    def picture_notes(self, feed: str) -> dict[str, int]:
        """The number of doubtful pictures of the feed's active listings, by note, the most frequent first."""
        sql = "select note, count(*) as n from doubtful_pictures where feed = $feed group by note order by n desc, note"
        return dict(self._database.execute(sql, {"feed": feed}).iter_rows())


def _mark_gone(connection: duckdb.DuckDBPyConnection, values: Mapping[str, Any], most_gone: float) -> int:
    feed = values["feed"]
    gone, active, here = execute(connection, statements.COUNT_GONE, values).row(0)
    if active and not here and most_gone < 1:
        raise UserError(
            f"feed {feed} has no row that can be read, but {active} listings are active; nothing was changed. If it "
            f"really is empty, set feeds.{feed}.most_gone = 1 for one run"
        )
    if gone > max(FEW_GONE, most_gone * active):
        raise UserError(
            f"feed {feed}: {gone} of its {active} listings are gone at once, more than the share most_gone = "
            f"{most_gone:g}; nothing was changed. If the feed is right, set feeds.{feed}.most_gone = 1 for one run; "
            f"if it holds changes only, set feeds.{feed}.full = false"
        )
    execute(connection, statements.MARK_GONE, values)
    return int(gone)


def update_label_values(connection: duckdb.DuckDBPyConnection, taxonomy: Taxonomy) -> None:
    """Updates what stored labels mean to the taxonomy, since rows that did not change are not read again."""
    stored = execute(connection, "select distinct attribute, word, value, outside from labels where word is not null")
    changed = _with_meanings(stored.select("attribute", "word"), taxonomy).join(
        stored, on=stored.columns, how="anti", nulls_equal=True
    )
    sql = """update labels set value = m.value, outside = m.outside from changed_words m
             where labels.attribute = m.attribute and labels.word = m.word"""
    execute(connection, sql, changed_words=changed)


def _with_meanings(words: pl.DataFrame, taxonomy: Taxonomy) -> pl.DataFrame:
    """attribute, word → attribute, word, value, outside, as in the table `labels`. Rows are unique."""
    attributes = {attribute.name: attribute for attribute in taxonomy.attributes}
    values, outside = [], []
    for name, word in words.iter_rows():
        attribute = attributes.get(name)
        values.append(attribute and attribute.value_of(word))
        outside.append(attribute is not None and attribute.is_outside(word))
    return words.with_columns(pl.Series("value", values, pl.String), pl.Series("outside", outside, pl.Boolean)).unique()
