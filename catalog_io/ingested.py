"""Brings what was read of a feed into the catalogue, all or nothing."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl
import sqlalchemy as sa

from catalog_io.database import fetch, registered
from schemas.taxonomy import Taxonomy


class Frames(NamedTuple):
    """What `Catalog.store_feed` takes."""

    listings: pl.DataFrame
    images: pl.DataFrame
    labels: pl.DataFrame
    rejections: pl.DataFrame


class Stored(NamedTuple):
    """How many listings `store_feed` added, and how many it changed."""

    inserted: int
    updated: int


def store(connection: sa.Connection, frames: Frames, values: Mapping[str, Any]) -> Stored:
    """`values`: feed, run_id, now."""
    if frames.listings["listing_id"].is_duplicated().any():
        raise ValueError(f"feed {values['feed']}: a listing_id stands twice among the listings to store")
    reasons = pl.col("reasons").cast(pl.List(pl.String)).list.join("; ")
    with registered(
        connection,
        new_listings=frames.listings,
        new_images=frames.images,
        new_labels=frames.labels,
        new_rejections=frames.rejections.with_columns(reason=reasons),
    ):
        updated = connection.execute(sa.text(_COUNT_KNOWN), values).scalar_one()
        for statement in _STORE_FEED:
            connection.execute(sa.text(statement), values)
    return Stored(inserted=frames.listings.height - updated, updated=updated)


def map_words(connection: sa.Connection, taxonomy: Taxonomy) -> None:
    """Brings label values in line with the taxonomy: rows that did not change are not read again for it."""
    words = fetch(connection, "select distinct attribute, word from labels where word is not null")
    values = [
        taxonomy[attribute].value_of(word) if attribute in taxonomy.names else None
        for attribute, word in words.iter_rows()
    ]
    mapped = words.with_columns(pl.Series("value", values, pl.String))
    with registered(connection, mapped_words=mapped):
        connection.execute(
            sa.text("""
            update labels set value = m.value from mapped_words m
            where labels.attribute = m.attribute and labels.word = m.word
                and labels.value is distinct from m.value""")
        )


_COUNT_KNOWN = "select count(*) from listings l join new_listings n on l.feed = :feed and l.listing_id = n.listing_id"

_STORE_FEED = (
    """merge into listings l using new_listings n on l.feed = :feed and l.listing_id = n.listing_id
       when matched then update set product_id = n.product_id, title = n.title, image_hash = n.image_hash,
           input_hash = n.input_hash, row_hash = n.row_hash, run_id = :run_id, updated_at = :now
       when not matched then insert values (:feed, n.listing_id, n.product_id, n.title, n.image_hash,
           n.input_hash, n.row_hash, :run_id, :now)""",
    "delete from listing_images where feed = :feed and listing_id in (select listing_id from new_listings)",
    "insert into listing_images select :feed, listing_id, 0, uri, image_hash from new_listings",
    """insert into images select image_hash, width, height, bytes, shard from new_images
       where image_hash not in (select image_hash from images)
       qualify row_number() over (partition by image_hash order by shard) = 1""",
    """delete from labels where feed = :feed and source = 'merchant' and listing_id in
       (select listing_id from new_listings union select listing_id from new_labels)""",
    "insert into labels select :feed, listing_id, attribute, 'merchant', word, value from new_labels",
    "delete from rejections where feed = :feed and stage = 'ingest'",
    """insert into rejections select :feed, row_number, listing_id, 'ingest', codes, reason, raw,
           :run_id, :now from new_rejections""",
)
