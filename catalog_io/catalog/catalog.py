"""The catalogue: what was read, tagged, trained and run. Every method is one transaction, and repeatable."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa

from catalog_io.catalog import drift, models, snapshot, store_feed, store_tags
from catalog_io.catalog.database import Database, fetch, registered
from catalog_io.catalog.models import ModelRow, Promotion, Registration
from catalog_io.catalog.store_feed import Stored
from catalog_io.catalog.store_tags import Collected
from catalog_io.catalog.tables import METADATA
from catalog_io.catalog.views import LISTING_COLUMNS, view_statements
from catalog_io.files import as_pattern, quoted
from catalog_io.staging.staging import Staging
from schemas.frames import LABEL_PREFIX
from schemas.taxonomy import Taxonomy


class Catalog:
    """The catalogue below `home`. Waits `lock_timeout` seconds for another run, then raises UserError."""

    def __init__(self, home: Path, *, lock_timeout: float = 60.0) -> None:
        self.home = Path(home)
        self._database = Database(self.home, lock_timeout)

    def create(self, taxonomy: Taxonomy) -> None:
        """Makes what is missing, and brings views and label values in line with the taxonomy."""
        with self._database.transaction(create=True) as connection:
            METADATA.create_all(connection)
            for table in METADATA.sorted_tables:  # an older catalogue lacks some columns
                for column in table.columns:
                    kind = column.type.compile(connection.dialect)
                    statement = f'alter table {table.name} add column if not exists "{column.name}" {kind}'
                    connection.execute(sa.text(statement))
            for statement in view_statements(taxonomy.names):
                connection.execute(sa.text(statement))
            store_feed.map_words(connection, taxonomy)

    # ---- ingest

    def known_pictures(self, feed: str, keys: pl.Series, picture_size: int) -> pl.Series:
        """Those keys of embedded pictures that are shrunk to this size already, or known to be unusable."""
        sql = """select key from picture_sources semi join wanted using (key)
                 where feed = $feed and (picture_size = $size)"""
        with self._database.transaction() as connection, registered(connection, wanted=keys.to_frame("key")):
            return fetch(connection, sql, {"feed": feed, "size": picture_size})["key"]

    def write_references(self, feed: str, staging: Staging) -> Path:
        """Writes the feed's picture references, each with what is known of it: key, uri; stamp, picture_size,
        image_hash, code, checked_at (all null where it is new). In the same order every time."""
        path = staging.settled("known")
        sql = f"""copy (select r.key, r.uri, s.stamp, s.picture_size, s.image_hash, s.code, s.checked_at
                        from read_parquet($references) r left join picture_sources s on s.feed = $feed and s.key = r.key
                        order by r.uri, r.key) to '{quoted(path)}' (format parquet)"""
        with self._database.transaction() as connection:
            fetch(connection, sql, {"feed": feed, "references": as_pattern(staging.settled("references"))})
        return path

    def new_images(self, done: Sequence[Path]) -> pl.DataFrame:
        """image_hash, file: pictures of finished units that no shard has, each once."""
        if not done:
            return pl.DataFrame(schema={"image_hash": pl.String, "file": pl.String})
        sql = """select image_hash, min(filename) as file from read_parquet($files, filename = true)
                 where image_hash is not null and image_hash not in (select image_hash from images)
                 group by image_hash"""
        with self._database.transaction() as connection:
            return fetch(connection, sql, {"files": [as_pattern(path) for path in done]})

    def store_feed(
        self,
        staging: Staging,
        done: Sequence[Path],
        images: pl.DataFrame,
        *,
        run_id: str,
        taxonomy: Taxonomy,
        picture_size: int,
        full: bool = True,
        most_gone: float = 1.0,
    ) -> Stored:
        """Stores what changed of a settled feed: listings, pictures, labels, rejections, and what is gone from it.

        `done`: files of PICTURE_DONE; `images`: image_hash, width, height, bytes, perceptual_hash, shard of the new.
        """
        values = {
            **{"feed": staging.feed, "run_id": run_id, "now": now()},
            **{"picture_size": picture_size, "full": full},
        }
        with self._database.transaction() as connection:
            return store_feed.store(
                connection, staging, done, images, taxonomy=taxonomy, most_gone=most_gone, values=values
            )

    def label_words_unknown(self, feed: str) -> pl.DataFrame:
        """attribute, word, listings: words that the taxonomy does not know, most frequent first."""
        sql = """select attribute, word, count(*) as listings from labels where feed = $feed and value is null
                 group by attribute, word order by listings desc, attribute, word"""
        with self._database.transaction() as connection:
            return fetch(connection, sql, {"feed": feed})

    def reasons(self, feed: str, run_id: str) -> dict[str, int]:
        """How many rows of the feed this run rejected, by code, the most frequent first."""
        sql = """select code, count(*) as n from (select unnest(codes) as code from rejections
                 where feed = $feed and run_id = $run and stage = 'ingest') group by code order by n desc, code"""
        with self._database.transaction() as connection:
            return dict(fetch(connection, sql, {"feed": feed, "run": run_id}).iter_rows())

    def picture_faults(self, feed: str) -> dict[str, int]:
        """How many pictures of the feed's active listings cannot be used, by code, the most frequent first."""
        sql = """select code, count(*) as n from unusable_pictures where feed = $feed
                 group by code order by n desc, code"""
        with self._database.transaction() as connection:
            return dict(fetch(connection, sql, {"feed": feed}).iter_rows())

    # ---- shards

    def shard_sizes(self) -> dict[str, int]:
        """Bytes of the pictures in each shard that a picture names, by the shard's name."""
        sql = "select shard, sum(bytes)::bigint from images group by shard order by shard"
        with self._database.transaction() as connection:
            return dict(fetch(connection, sql).iter_rows())

    def move_pictures(self, places: pl.DataFrame, shards: Sequence[str]) -> None:
        """From now on the pictures of these shards are where `places` (image_hash, shard) says."""
        with (
            self._database.transaction() as connection,
            registered(connection, places=places, old=pl.DataFrame({"shard": shards})),
        ):
            connection.execute(
                sa.text("""
                update images set shard = p.shard from places p
                where images.image_hash = p.image_hash and images.shard in (select shard from old)""")
            )

    # ---- training and tagging

    def listings(self) -> pl.DataFrame:
        """All, inactive ones too (their labels still teach): feed, listing_id, product_id, title, image_hash, shard,
        input_hash, split (that the feed gives it, or null), label_<attribute> (or null)."""
        return self._listings("true", {})

    def untagged(
        self, model_version: str, engine: str, *, certificates: Mapping[str, str], pooled: str
    ) -> pl.DataFrame:
        """Like `listings`, only active ones that this model on this engine has not tagged as they are now, or by other
        certificates: their ids by feed, and that of every other feed."""
        done = """exists (select 1 from tags t where t.feed = l.feed and t.listing_id = l.listing_id
                  and t.input_hash = l.input_hash and t.model_version = $model_version and t.engine = $engine
                  and t.certificate = coalesce(map($feeds::text[], $ids::text[])[l.feed], $pooled))"""
        parameters = {
            **{"model_version": model_version, "engine": engine},
            **{"feeds": list(certificates), "ids": list(certificates.values()), "pooled": pooled},
        }
        return self._listings(f"l.inactive_since is null and not {done}", parameters)

    def input_hashes(self) -> pl.Series:
        """Of all active listings, each once."""
        sql = "select distinct input_hash from listings where inactive_since is null"
        with self._database.transaction() as connection:
            return fetch(connection, sql)["input_hash"]

    def _listings(self, where: str, parameters: Mapping[str, Any]) -> pl.DataFrame:
        with self._database.transaction() as connection:
            attributes = _attributes(connection)
            labels = "".join(f""", p."{LABEL_PREFIX}{name}" """ for name in attributes)
            pivot = "".join(
                f""", max(value) filter (where attribute = '{name}') as "{LABEL_PREFIX}{name}" """
                for name in attributes
            )
            sql = f"""
                select l.feed, l.listing_id, l.product_id, l.title, l.image_hash, i.shard,
                    l.input_hash, l.split {labels}
                from listings l left join images i on i.image_hash = l.image_hash
                left join (select feed, listing_id {pivot} from labels where source = 'merchant'
                           group by feed, listing_id) p on p.feed = l.feed and p.listing_id = l.listing_id
                where {where} order by l.feed, l.listing_id"""
            return fetch(connection, sql, parameters)

    def store_tagged(
        self, files: Sequence[Path], *, model_version: str, engine: str, run_id: str, tagged_at: datetime
    ) -> Collected:
        """Replaces the tags, flags and tagging faults of the listings in TAGGED Parquet files."""
        values = {
            "model_version": model_version,
            "engine": engine,
            "run_id": run_id,
            "tagged_at": utc(tagged_at),
        }
        with self._database.transaction() as connection:
            return store_tags.store(connection, files, values)

    def newest_confidences(self, feed: str, *, model_version: str, engine: str, certificate: str) -> pl.DataFrame:
        """product_id, split, labelled, run_id, attribute, confidence: tags of at most 20,000 of the feed's active
        listings, those tagged last first."""
        values = {"feed": feed, "model_version": model_version, "engine": engine, "certificate": certificate}
        with self._database.transaction() as connection:
            return drift.newest_confidences(connection, values)

    def store_drift(self, rows: pl.DataFrame) -> None:
        """Adds rows to the table `drift`."""
        with self._database.transaction() as connection:
            drift.store(connection, rows)

    def publish(self) -> Path:
        """Copies the catalogue to `<home>/catalog.duckdb`, the analysts' snapshot, and returns its path. A reader that
        has the old snapshot open keeps reading it. UserError where there is no catalogue yet."""
        return snapshot.publish(self._database)

    def counts(self) -> dict[str, int]:
        """Rows by table."""
        tables = sorted(METADATA.tables)
        sql = " union all ".join(f"select '{name}' as name, count(*) as n from {name}" for name in tables)
        with self._database.transaction() as connection:
            return dict(fetch(connection, sql).iter_rows())

    # ---- models and runs

    def register_model(self, model: Registration) -> None:
        """Adds or replaces a model. The first of a catalogue is its champion at once."""
        with self._database.transaction() as connection:
            models.register(connection, model, now())

    def record_comparison(self, version: str, comparison: Mapping[str, Any] | None, refused: str | None) -> None:
        """What a comparison with the champion found, and why the model was not promoted by itself (None: it may be)."""
        with self._database.transaction() as connection:
            models.record_comparison(connection, version, comparison, refused)

    def promote(self, version: str, *, instead_of: str | None, reason: str) -> None:
        """Makes this model the champion in one step; UserError, and nothing changes, where there is no such model, or
        the champion is not `instead_of` any more."""
        with self._database.transaction() as connection:
            models.promote(connection, version, instead_of, reason, now())

    def roll_back(self, champion: str) -> None:
        """Withdraws the promotion of the champion in one step: the one before it is the champion again. UserError, and
        nothing changes, where it is not the champion any more, or nothing was before it."""
        with self._database.transaction() as connection:
            models.roll_back(connection, champion, now())

    def models(self) -> list[ModelRow]:
        """All registered models, the newest first."""
        with self._database.transaction() as connection:
            return models.models(connection)

    def champion(self) -> ModelRow | None:
        return next((model for model in self.models() if model.champion), None)

    def promotions(self) -> list[Promotion]:
        """All that were ever made, the first first."""
        with self._database.transaction() as connection:
            return models.promotions(connection)

    def start_run(self, run_id: str, flow: str) -> None:
        with self._database.transaction() as connection:
            models.start_run(connection, run_id, flow, now())

    def finish_run(self, run_id: str, state: str, summary: Mapping[str, Any]) -> None:
        """UserError where the run was never started."""
        with self._database.transaction() as connection:
            models.finish_run(connection, run_id, state, summary, now())

    def runs(self) -> pl.DataFrame:
        """run_id, flow, started_at, finished_at, state, summary (JSON text), the newest first."""
        with self._database.transaction() as connection:
            return fetch(connection, "select * from runs order by started_at desc, run_id")

    def store_evaluation(
        self, model_version: str, *, engine: str, split: str, data_hash: str, results: Mapping[str, Any]
    ) -> None:
        """Keeps what a model scored on these listings, in place of what was kept of the same before."""
        with self._database.transaction() as connection:
            models.store_evaluation(
                connection,
                model_version=model_version,
                engine=engine,
                split=split,
                data_hash=data_hash,
                results=results,
                evaluated_at=now(),
            )


def now() -> datetime:
    return utc(datetime.now(UTC))


def utc(moment: datetime) -> datetime:
    """As the tables keep it: UTC without a zone (one without a zone is taken as UTC)."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _attributes(connection: sa.Connection) -> list[str]:
    names = fetch(connection, "select column_name from (describe tagged_listings)")["column_name"].to_list()
    return [name for name in names if name not in LISTING_COLUMNS]
