"""What an ingest has read of a feed, in files: memory does not grow with the feed, and the catalogue is untouched."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

import filelock
import polars as pl

from catalog_io.feeds.picture_cells import PICTURES
from catalog_io.files import as_pattern, literal
from catalog_io.pictures.fetching.references import picture_key
from schemas.errors import UserError
from schemas.frames import LABEL_WORD_PREFIX
from schemas.secrets import redacted, redacted_row
from schemas.validation import REJECTED, Validated

REFERENCES = pl.Schema(
    {
        "row_number": pl.Int64(),
        "position": pl.Int64(),  # within the row
        "key": pl.String(),
        "uri": pl.String(),  # as the feed has it, secrets and all: for fetching only
        "shown": pl.String(),
        "embedded": pl.Boolean(),
    }
)


class Staging:
    """The folder `<home>/ingest/<feed>`, of one ingest at a time.

    rows, pictures, rejected: what was read, cleared when an ingest begins. units: pictures to be worked and their
    results, which outlive a killed run, so that the next one goes on from them.
    """

    def __init__(self, home: Path, feed: str, labels: Sequence[str] = ()) -> None:
        self.folder = Path(home) / "ingest" / feed
        self.feed = feed
        self.words = tuple(f"{LABEL_WORD_PREFIX}{name}" for name in labels)
        self._batches = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Empties it and keeps other ingests of the feed out; removes it where the ingest ended well."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = filelock.FileLock(self.folder.with_name(f"{self.feed}.lock"), timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout as fault:
            raise UserError(
                f"feed {self.feed} is being ingested by another run ({lock.lock_file}); wait until it has ended"
            ) from fault
        with lock:
            for kind in ("rows", "pictures", "rejected", "settled"):
                shutil.rmtree(self.folder / kind, ignore_errors=True)
                (self.folder / kind).mkdir(parents=True)
            self._batches = 0
            no_rows = pl.DataFrame(schema={**dict.fromkeys(self._columns, pl.String), "pictures": PICTURES})
            self.add(Validated(no_rows.cast({"row_number": pl.Int64}), pl.DataFrame(schema=REJECTED)))
            yield
            shutil.rmtree(self.folder)

    def add(self, rows: Validated) -> pl.DataFrame:
        """Keeps one batch; returns its embedded pictures (key, data), each once."""
        pictures, embedded = _pictures(rows.accepted)
        name = f"{self._batches:06d}.parquet"
        self._batches += 1
        rows.accepted.select(self._columns).write_parquet(self.folder / "rows" / name)
        pictures.write_parquet(self.folder / "pictures" / name)
        shown = pl.Series("raw", map(redacted_row, rows.rejected["raw"]), pl.String)
        rows.rejected.with_columns(shown).write_parquet(self.folder / "rejected" / name)
        return embedded

    def all(self, kind: str) -> str:
        """SQL that reads what was kept of a kind."""
        return f"read_parquet({literal(as_pattern(self.folder / kind) + '/*.parquet')})"

    def settled(self, name: str) -> Path:
        return self.folder / "settled" / f"{name}.parquet"

    @property
    def units(self) -> Path:
        return self.folder / "units"

    @property
    def _columns(self) -> tuple[str, ...]:
        return ("row_number", "listing_id", "product_id", "title", "split", "raw", *self.words)


def _pictures(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    flat = rows.select("row_number", "pictures").explode("pictures").drop_nulls("pictures").unnest("pictures")
    flat = flat.with_columns(
        pl.col("uri").fill_null(""),
        embedded=pl.col("data").is_not_null(),
    )
    uris = flat.filter(~pl.col("embedded")).select(pl.col("uri").unique())
    keys = uris.with_columns(uri_key=pl.col("uri").map_elements(picture_key, pl.String))
    digests = [None if data is None else blake2b(data, digest_size=16).hexdigest() for data in flat["data"]]
    flat = flat.with_columns(data_key=pl.Series(digests, dtype=pl.String)).join(
        keys, on="uri", how="left", maintain_order="left"
    )
    flat = flat.with_columns(key=pl.coalesce("data_key", "uri_key"), shown=_shown(flat["uri"]))
    # A picture that a row names twice is one; positions have no gaps.
    flat = flat.unique(["row_number", "key"], keep="first", maintain_order=True)
    flat = flat.with_columns(position=pl.int_range(pl.len(), dtype=pl.Int64).over("row_number"))
    embedded = flat.filter("embedded").unique("key", maintain_order=True).select("key", "data")
    return flat.select(REFERENCES.names()).cast(REFERENCES), embedded


def _shown(uris: pl.Series) -> pl.Series:
    """Only URLs and their queries carry secrets."""
    suspect = uris.str.contains("//|=")
    if not suspect.any():
        return uris
    shown = [redacted(uri) if may else uri for uri, may in zip(uris, suspect, strict=True)]
    return pl.Series(shown, dtype=pl.String)
