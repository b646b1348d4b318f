"""SQL of drift: reads a feed's newest confidences, stores how far they are from those of its certificates."""

from collections.abc import Mapping

import polars as pl
import sqlalchemy as sa

from catalog_io.catalog.database import fetch, registered

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


def newest_confidences(connection: sa.Connection, values: Mapping[str, str]) -> pl.DataFrame:
    """See `Catalog.newest_confidences`. `values`: feed, model_version, engine, certificate."""
    return fetch(connection, _CONFIDENCES, values)


def store(connection: sa.Connection, rows: pl.DataFrame) -> None:
    """Adds rows to the table `drift`."""
    with registered(connection, found=rows):
        connection.execute(sa.text("insert into drift by name select * from found"))
