"""Merges the rows of a feed into listings, and rejects rows that repeat the id of another."""

import duckdb
import polars as pl

from catalog_io.files import MEMORY, literal
from catalog_io.staging.staging import Staging
from schemas.listings import MAX_PICTURES, REASONS
from schemas.secrets import redacted_row


def settle(staging: Staging) -> int:
    """Writes the settled `listings`, `pictures`, `references` and `rejections` from the rows, and returns the
    number of rows that became part of a listing.

    The first row with an id keeps it, even where that row is rejected. A later row that differs from it only in its
    pictures, or that has no title, adds its pictures to the listing; any other is rejected.
    """
    words = "".join(f", coalesce({word}, '')" for word in staging.words)
    with duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": str(staging.folder / "spill")}) as connection:
        connection.execute(f"""
            create view rows as select *, md5(concat_ws(chr(31), product_id, title {words}, split)) as cells
            from {staging.all("rows")}""")
        connection.execute(f"create view staged_pictures as select * from {staging.all('pictures')}")
        connection.execute(f"create view rejected as select * from {staging.all('rejected')}")
        connection.execute(_LATER, {"most": MAX_PICTURES})
        connection.execute(_MEMBERS)
        for name, sql in (("listings", _LISTINGS), ("pictures", _PICTURES), ("references", _REFERENCES)):
            _copy(connection, sql, staging, name)
        repeated = connection.execute(_REPEATED).pl()
        shown = pl.Series("raw", map(redacted_row, repeated["raw"]), pl.String)
        connection.register("repeated_rows", repeated.with_columns(shown).to_arrow())
        reasons = {"repeated": REASONS["listing_id_duplicate"], "many": REASONS["image_too_many"]}
        _copy(connection, _REJECTIONS.format(**reasons), staging, "rejections")
        ((accepted,),) = connection.execute(_ACCEPTED).fetchall()
    return int(accepted)


def _copy(connection: duckdb.DuckDBPyConnection, sql: str, staging: Staging, name: str) -> None:
    connection.execute(f"copy ({sql}) to {literal(staging.settled(name))} (format parquet)")


# Rows after the first of their id. `adds`: the row belongs to the listing of an accepted first row, because it adds
# pictures, or because it has no title of its own, as the rows of variants have none in the exports of shops.
_LATER = """
    create table later as
    with ids as (
        select row_number, listing_id, true as good, false as untitled from rows
        union all
        select row_number, listing_id, false, codes = ['title_missing'] from rejected where listing_id <> ''
    ),
    candidates as (
        select i.row_number, i.listing_id, p.pictures,
            row_number() over same_id as nth,
            i.untitled and first_value(i.good) over same_id as continues,
            coalesce(i.good and first_value(i.good) over same_id and r.cells = first_value(r.cells) over same_id, false)
                as alike
        from ids i
        semi join (select listing_id from ids group by all having count(*) > 1) repeated using (listing_id)
        left join rows r using (row_number)
        left join (select row_number, md5(string_agg(key, ',' order by position)) as pictures
                   from staged_pictures group by row_number) p using (row_number)
        window same_id as (partition by i.listing_id order by i.row_number)
    )
    select row_number, added or continued as adds, continues and not continued as too_many from (
        select row_number, nth, continues, continues and (pictures is null or nth <= $most) as continued,
            alike and pictures is not null and nth <= $most and
                row_number() over (partition by listing_id, pictures, alike order by row_number) = 1 as added
        from candidates
    ) where nth > 1
"""
_MEMBERS = """
    create view members as
        select row_number, listing_id from rows
        union all
        select row_number, listing_id from rejected semi join (select * from later where adds) using (row_number);
    create view pictures as
        select * from staged_pictures anti join (
            select row_number from rejected anti join (select * from later where adds) using (row_number)
        ) using (row_number)
"""
_LISTINGS = "select * exclude (raw) from rows anti join later using (row_number)"
# Only listings of several rows need new positions for their pictures.
_PICTURES = """
    with several as (
        select listing_id from members semi join (select * from later where adds) using (row_number) group by all
    )
    select listing_id, key, shown as uri, position
    from pictures join rows using (row_number) anti join later using (row_number) anti join several using (listing_id)
    union all
    select listing_id, key, any_value(shown),
        row_number() over (partition by listing_id order by min((row_number, position))) - 1
    from pictures join members using (row_number) semi join several using (listing_id)
    anti join (select row_number from later where not adds) using (row_number)
    group by listing_id, key
"""
_REFERENCES = "select key, any_value(uri) as uri from pictures where not embedded group by key"
_REPEATED = (
    "select row_number, listing_id, raw from rows semi join (select * from later where not adds) using (row_number)"
)
_REJECTIONS = """
    select r.* replace (
        case when l.row_number is null then r.codes when l.too_many then ['image_too_many']
            else list_append(r.codes, 'listing_id_duplicate') end as codes,
        case when l.row_number is null then r.reasons when l.too_many then ['{many}']
            else list_append(r.reasons, '{repeated}') end as reasons)
    from rejected r left join later l using (row_number) where l.adds is not true
    union all by name
    select row_number, listing_id, ['listing_id_duplicate'] as codes, ['{repeated}'] as reasons, raw from repeated_rows
"""
_ACCEPTED = "select count(*) from members anti join (select * from later where not adds) using (row_number)"
