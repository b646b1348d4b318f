"""Whether a feed has drifted away from its certificates: the newest confidences out, what was found in."""

from pathlib import Path

import polars as pl
import sqlalchemy as sa

from catalog_io.catalog.database import Database, fetch, registered

_NEWEST = 20_000  # listings of a feed that are compared at most

_CONFIDENCES = f"""
    select l.product_id, l.split, exists (select 1 from labels b where b.feed = l.feed and b.listing_id = l.listing_id
            and b.value is not null) as labelled,
        t.run_id, t.attribute, t.confidence
    from tags t
    join listings l on l.feed = t.feed and l.listing_id = t.listing_id and l.input_hash = t.input_hash
    where t.feed = $feed and t.model_version = $model_version and t.engine = $engine and t.certificate = $certificate
        and l.inactive_since is null
    qualify dense_rank() over (order by t.tagged_at desc, md5(l.listing_id)) <= {_NEWEST}
    order by t.tagged_at desc, md5(l.listing_id)
"""


def newest_confidences(
    home: Path, *, feed: str, model_version: str, engine: str, certificate: str, lock_timeout: float = 60.0
) -> pl.DataFrame:
    """product_id, split, labelled, run_id, attribute, confidence: of the feed's listings, those tagged last first."""
    values = {"feed": feed, "model_version": model_version, "engine": engine, "certificate": certificate}
    with Database(home, lock_timeout).transaction() as connection:
        return fetch(connection, _CONFIDENCES, values)


def store_drift(home: Path, found: pl.DataFrame, *, lock_timeout: float = 60.0) -> None:
    """Adds rows of the table `drift`."""
    with Database(home, lock_timeout).transaction() as connection, registered(connection, found=found):
        connection.execute(sa.text("insert into drift by name select * from found"))
