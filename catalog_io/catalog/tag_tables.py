"""What training and tagging read from the catalogue, and write to it: listings, tags, noise flags and drift."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import polars as pl

from catalog_io.catalog.database import Database, execute, now, utc
from catalog_io.catalog.history import COUNT_CHANGES, IN_PART, RECORD_CHANGES
from catalog_io.files import as_pattern
from schemas.errors import DamagedFile, UserError
from schemas.files import remove_damaged

_ORDER = "l.feed, l.listing_id"
RETRY_KILLER = timedelta(days=7)  # then a listing that killed its workers is tried again


class Rules(NamedTuple):
    """Ids of all that tags and flags depend on besides the listing: model, engine, certificate, rules."""

    of_feeds: Mapping[str, str]  # of feeds with certificates of their own
    pooled: str  # of every other feed

    def values(self) -> dict[str, Any]:
        return {"feeds": list(self.of_feeds), "ids": list(self.of_feeds.values()), "pooled": self.pooled}


class Collected(NamedTuple):
    """Numbers of listings that were tagged and rejected, of accepted and provisional tags, and of noise flags."""

    tagged: int
    rejected: int
    accepted_tags: int
    provisional_tags: int
    flags: int


class TagTables:
    """The part of `Catalog` for training and tagging."""

    _database: Database

    def listings(self) -> pl.DataFrame:
        """All listings but those whose picture is lost; inactive ones too, since their labels still teach: feed,
        listing_id, product_id, title, image_hash, input_hash, fingerprint, split (the feed's, or null),
        label_<attribute> (the merchant's, or null), shard."""
        return self._listings("true", {})

    def untagged(self, rules: Rules) -> pl.DataFrame:
        """The active listings without tags by these rules of their present title, picture and labels, with the columns
        of `listings`: first those without tags, then those that have changed, then the others. One that killed its
        workers is left out for RETRY_KILLER, unless it or the rules change."""
        same = f"""feed = l.feed and listing_id = l.listing_id and fingerprint = l.fingerprint
                   and rules = {_rules_of("l.feed")}"""
        killer = f"""exists (select 1 from rejections where {same} and stage = 'tag'
                     and 'tag_kills_worker' in codes and last_seen > $killed_since)"""
        tagged = f"exists (select 1 from tags where {same})"
        values = {**rules.values(), "killed_since": now() - RETRY_KILLER}
        where = f"l.inactive_since is null and not {tagged} and not {killer}"
        return self._listings(where, values, order=f"{_URGENCY}, {_ORDER}")

    def killers(self, run_id: str) -> dict[str, str]:
        """The listings that the run rejected because they killed their workers ("feed listing_id"), and the reasons."""
        sql = """select feed || ' ' || listing_id, reason from rejections
                 where stage = 'tag' and 'tag_kills_worker' in codes and run_id = $run_id order by all"""
        return dict(self._database.execute(sql, {"run_id": run_id}).iter_rows())

    def input_hashes(self) -> pl.Series:
        """The input hashes of all active listings, each once."""
        sql = "select distinct input_hash from listings where inactive_since is null"
        return self._database.execute(sql)["input_hash"]

    def store_tagged(
        self,
        files: Sequence[Path],
        *,
        model_version: str,
        engine: str,
        rules: Rules,
        run_id: str,
        tagged_at: datetime,
        history_days: int = 90,
    ) -> Collected:
        """Replaces the tags, flags and tagging faults of the listings in TAGGED Parquet files, and records what changes
        in the tables of history, which keep so many days.

        A listing that is in two files counts once. UserError, and nothing changes, where a file is missing;
        DamagedFile where one cannot be read.
        """
        if missing := [str(file) for file in files if not file.is_file()]:
            raise UserError(f"{missing[0]}: this tagged part is gone ({len(missing)} in all); run `cma tag` again")
        if not files:
            return Collected(0, 0, 0, 0, 0)
        values = {"model_version": model_version, "engine": engine, "run_id": run_id, "tagged_at": utc(tagged_at)}
        values |= {"files": [as_pattern(file) for file in files], **rules.values()}
        values["kept_since"] = utc(tagged_at) - timedelta(days=history_days)
        try:
            with self._database.transaction() as connection:
                for statement in _STORE_TAGGED:
                    execute(connection, statement, values)
                return Collected(*execute(connection, _COUNT).row(0))
        except duckdb.Error as fault:
            if damaged := remove_damaged(files):
                raise DamagedFile(f"{damaged[0]}: this tagged part was damaged and has been removed") from fault
            raise

    def count_changes(self, run_id: str) -> dict[str, int]:
        """What the run changed: changed_tags (of changed listings, or of those that failed), changed_by_rules,
        flags_raised, flags_removed."""
        return self._database.execute(COUNT_CHANGES, {"run_id": run_id}).row(0, named=True)

    def newest_confidences(self, feed: str, *, model_version: str, engine: str, certificate: str) -> pl.DataFrame:
        """product_id, split, run_id, attribute, confidence: tags of at most 20,000 of the feed's active
        listings, those tagged last first."""
        values = {"feed": feed, "model_version": model_version, "engine": engine, "certificate": certificate}
        return self._database.execute(_NEWEST_CONFIDENCES, values)

    def store_drift(self, rows: pl.DataFrame) -> None:
        """Adds rows to the table `drift`."""
        self._database.execute("insert into drift by name select * from found", found=rows)

    def _listings(self, where: str, values: Mapping[str, Any], *, order: str = _ORDER) -> pl.DataFrame:
        sql = f"""
            select l.* exclude (inactive_since), i.shard
            from tag_inputs l left join images i on i.image_hash = l.image_hash
            where {where} and (l.image_hash is null or i.shard is not null) order by {order}"""
        return self._database.execute(sql, values)


def _rules_of(feed: str) -> str:
    return f"coalesce(map($feeds::text[], $ids::text[])[{feed}], $pooled)"


# 0: the listing has no tags; 1: it has changed; 2: only the rules have.
_URGENCY = """(select case when count(*) = 0 then 0 when bool_or(t.fingerprint = l.fingerprint) then 2 else 1 end
    from tags t where t.feed = l.feed and t.listing_id = l.listing_id)"""

_STORE_TAGGED = (
    # One scan of the files; a work unit that ran twice may have left a listing in two of them.
    """create or replace temp table part as select * from read_parquet($files)
       qualify row_number() over (partition by feed, listing_id order by error is not null) = 1""",
    *RECORD_CHANGES,
    # Also for listings that failed now: their tags are those of another input or model.
    f"delete from tags where {IN_PART}",
    f"delete from noise_flags where {IN_PART}",
    f"delete from rejections where stage = 'tag' and {IN_PART}",
    f"""insert into tags by name select feed, listing_id, unnest(tags, recursive := true), input_hash, fingerprint,
           certificate, {_rules_of("feed")} as rules, $model_version as model_version, $engine as engine,
           $run_id as run_id, $tagged_at as tagged_at
       from part where error is null""",
    f"""insert into noise_flags by name select feed, listing_id, unnest(flags, recursive := true), input_hash,
           fingerprint, {_rules_of("feed")} as rules, $model_version as model_version, $run_id as run_id
       from part where error is null""",
    f"""insert into rejections by name select feed, listing_id, 'tag' as stage, [code] as codes, error as reason,
           fingerprint, {_rules_of("feed")} as rules, $run_id as run_id, $tagged_at as first_seen,
           $tagged_at as last_seen
       from part where error is not null""",
)
_COUNT = """
    select count(*) filter (where error is null), count(*) filter (where error is not null),
        coalesce(sum(len(list_filter(tags, lambda t: t.accepted))) filter (where error is null), 0)::bigint,
        coalesce(sum(len(list_filter(tags, lambda t: t.provisional))) filter (where error is null), 0)::bigint,
        coalesce(sum(len(flags)) filter (where error is null), 0)::bigint
    from part
"""
_NEWEST_CONFIDENCES = """
    select l.product_id, l.split, t.run_id, t.attribute, t.confidence
    from tags t
    join listings l on l.feed = t.feed and l.listing_id = t.listing_id and l.input_hash = t.input_hash
    where t.feed = $feed and t.model_version = $model_version and t.engine = $engine and t.certificate = $certificate
        and l.inactive_since is null
    qualify dense_rank() over (order by t.tagged_at desc, md5(l.listing_id)) <= 20_000
    order by t.tagged_at desc, md5(l.listing_id)
"""
