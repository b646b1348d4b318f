"""Brings the files that workers wrote (TAGGED, one row a listing) into the catalogue, all or nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from catalog_io.catalog.database import fetch
from catalog_io.files import as_pattern
from schemas.errors import UserError


class Collected(NamedTuple):
    """Listings tagged and rejected; tags that were accepted, and provisional ones; flags that were raised."""

    tagged: int
    rejected: int
    accepted_tags: int
    provisional_tags: int
    flags: int


def store(connection: sa.Connection, files: Sequence[Path], values: Mapping[str, Any]) -> Collected:
    """`values`: model_version, engine, run_id, tagged_at. A listing that is in two files counts once."""
    if missing := [str(file) for file in files if not file.is_file()]:
        raise UserError(f"{missing[0]}: this tagged part is gone ({len(missing)} in all); run `cma tag` again")
    if not files:
        return Collected(0, 0, 0, 0, 0)
    # One scan of the files; a work unit that ran twice may have left a listing in two of them.
    fetch(
        connection,
        """create or replace temp table part as select * from read_parquet($files)
           qualify row_number() over (partition by feed, listing_id order by error is not null) = 1""",
        {"files": [as_pattern(file) for file in files]},
    )
    for statement in _STORE:
        connection.execute(sa.text(statement), values)
    counts = connection.execute(sa.text(_COUNT)).one()
    connection.execute(sa.text("drop table part"))
    return Collected(*counts)


_OF_PART = "(feed, listing_id) in (select (feed, listing_id) from part)"

_STORE = (
    # Also of listings that failed now: their tags are of another input or model.
    f"delete from tags where {_OF_PART}",
    f"delete from noise_flags where {_OF_PART}",
    f"delete from rejections where stage = 'tag' and {_OF_PART}",
    """insert into tags by name select feed, listing_id, unnest(tags, recursive := true), input_hash, certificate,
           :model_version as model_version, :engine as engine, :run_id as run_id, :tagged_at as tagged_at
       from part where error is null""",
    """insert into noise_flags (feed, listing_id, kind, attribute, score, detail, model_version, input_hash, run_id)
       select feed, listing_id, f.kind, f.attribute, f.score, f.detail,
           :model_version, input_hash, :run_id
       from (select feed, listing_id, input_hash, unnest(flags) as f from part where error is null)""",
    """insert into rejections (feed, row_number, listing_id, stage, codes, reason, raw, run_id, first_seen, last_seen)
       select feed, null, listing_id, 'tag', ['tag_failed'], error, null,
           :run_id, :tagged_at, :tagged_at from part where error is not null""",
)

_COUNT = """
    select count(*) filter (where error is null), count(*) filter (where error is not null),
        coalesce(sum(len(list_filter(tags, lambda t: t.accepted))) filter (where error is null), 0)::bigint,
        coalesce(sum(len(list_filter(tags, lambda t: t.provisional))) filter (where error is null), 0)::bigint,
        coalesce(sum(len(flags)) filter (where error is null), 0)::bigint
    from part
"""
