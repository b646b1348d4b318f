"""Files of what an ingest has read, so that memory does not grow with the feed."""

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
from schemas.secrets import redacted, redacted_reference, redacted_row
from schemas.validation import REJECTED, Validated

REFERENCES = pl.Schema(
    {
        "row_number": pl.Int64(),
        "position": pl.Int64(),  # within the row
        "key": pl.String(),
        "uri": pl.String(),  # as the feed has it, with secrets: for fetching only
        "shown": pl.String(),  # without secrets
        "embedded": pl.Boolean(),
    }
)

# References that `redacted_reference` would leave as they are; URLs but for their query.
_ESCAPE = "%(?:2[0-24689A-Ea-e]|[89A-Fa-f][0-9A-Fa-f])"  # of a character that means nothing in a URL
_PLAIN_PATH = rf"^/?(?:(?:[\w.\-+~,()& ]|{_ESCAPE})+/)*(?:[\w.\-+~,()& ]|{_ESCAPE})+$"
_PLAIN_URL = rf"^[a-z][a-z0-9]+://[\w.\-]+(?::\d{{1,5}})?(?:/(?:[\w.\-+~,()&]|{_ESCAPE})+)*/?$"
_SIGNED = r"(?i)eyJ|s--|token|signature|sig/|jwt|secret|[\w\-]{43}"  # may be part of a signed path


class Staging:
    """The folder `<home>/ingest/<feed>`, which one ingest at a time uses.

    Its subfolders: `rows`, `pictures` and `rejected` hold what was read, `settled` the results of `settle`; they are
    cleared when an ingest begins. `units` holds picture work and its results, which the run after a killed one reuses.
    """

    def __init__(self, home: Path, feed: str, labels: Sequence[str] = ()) -> None:
        self.folder = Path(home) / "ingest" / feed
        self.feed = feed
        self.words = tuple(f"{LABEL_WORD_PREFIX}{name}" for name in labels)
        self.units = self.folder / "units"
        self._columns = ("row_number", "listing_id", "product_id", "title", "split", "raw", *self.words)
        self._batches = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Locks and clears the folder; removes it where the block ends without an error.

        UserError where another run is ingesting the feed.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.folder.with_name(f"{self.feed}.lock")
        try:
            lock = filelock.FileLock(path, timeout=0).acquire()
        except filelock.Timeout as fault:
            raise UserError(
                f"feed {self.feed} is being ingested by another run ({path}); wait until it has ended"
            ) from fault
        with lock:
            for kind in ("rows", "pictures", "rejected", "settled"):
                shutil.rmtree(self.folder / kind, ignore_errors=True)
                (self.folder / kind).mkdir(parents=True)
            self._batches = 0
            no_rows = pl.DataFrame(schema={**dict.fromkeys(self._columns, pl.String), "pictures": PICTURES})
            no_rows = no_rows.cast({"row_number": pl.Int64})
            self.add(Validated(no_rows, pl.DataFrame(schema=REJECTED), no_rows.select("row_number", "pictures")))
            yield
            shutil.rmtree(self.folder)

    def add(self, rows: Validated) -> pl.DataFrame:
        """Writes one batch to files, and returns its embedded pictures (key, data), each once."""
        pictures, embedded = _pictures(pl.concat([rows.accepted.select(rows.untitled.columns), rows.untitled]))
        name = f"{self._batches:06d}.parquet"
        self._batches += 1
        rows.accepted.select(self._columns).write_parquet(self.folder / "rows" / name)
        pictures.write_parquet(self.folder / "pictures" / name)
        raw = pl.Series("raw", map(redacted_row, rows.rejected["raw"]), pl.String)
        reasons = [[redacted(reason) for reason in several] for several in rows.rejected["reasons"]]
        shown = rows.rejected.with_columns(raw, pl.Series("reasons", reasons, pl.List(pl.String)))
        shown.write_parquet(self.folder / "rejected" / name)
        return embedded

    def all(self, kind: str) -> str:
        """The SQL expression for all rows of a kind: rows, pictures or rejected."""
        return f"read_parquet({literal(as_pattern(self.folder / kind) + '/*.parquet')})"

    def settled(self, name: str) -> Path:
        """The Parquet file of a result of `settle`."""
        return self.folder / "settled" / f"{name}.parquet"


def _pictures(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows' picture references (REFERENCES), and the embedded pictures among them (key, data), each once."""
    flat = rows.select("row_number", "pictures").explode("pictures").drop_nulls("pictures").unnest("pictures")
    flat = flat.with_columns(pl.col("uri").fill_null(""), embedded=pl.col("data").is_not_null())
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
    """The references without secrets: most are plain paths, or plain URLs with a query at most."""
    urls = uris.str.replace(r"(?s)[?#].*", "")
    plain = pl.select(
        pl.when(uris.str.contains(_PLAIN_PATH)).then(uris).when(urls.str.contains(_PLAIN_URL)).then(urls)
    ).to_series()
    plain = pl.select(pl.when(~plain.str.contains(_SIGNED)).then(plain)).to_series()
    if not plain.null_count():
        return plain
    shown = [redacted_reference(uri) if known is None else known for uri, known in zip(uris, plain, strict=True)]
    return pl.Series(shown, dtype=pl.String)
