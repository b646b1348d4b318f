"""The writer's own database file, opened by one process at a time and only for as long as a transaction."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import polars as pl
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from catalog_io.files import MEMORY
from schemas.errors import UserError


class Database:
    """`<home>/work.duckdb`, guarded by `<home>/catalog.lock`.

    DuckDB lets one process open a file for writing, and none beside it, so reads go through the lock, too.
    """

    def __init__(self, home: Path, lock_timeout: float) -> None:
        self.path = home / "work.duckdb"
        self.lock_path = home / "catalog.lock"
        self.lock_timeout = lock_timeout

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Holds the lock; UserError where another run keeps it for longer than the timeout (seconds)."""
        self.lock_path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock = filelock.FileLock(self.lock_path, timeout=self.lock_timeout)
            lock.acquire()
        except filelock.Timeout as fault:
            raise UserError(
                f"{self.lock_path}: another cma run is writing to this catalogue, and did not end within "
                f"{self.lock_timeout:.0f} s; wait until it has ended, and run this again"
            ) from fault
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def transaction(self, *, create: bool = False) -> Iterator[sa.Connection]:
        """One transaction: committed on leaving, rolled back on an error."""
        with self.exclusive():
            if not create and not self.path.exists():
                raise UserError(f"{self.path}: there is no catalogue yet; run `cma ingest` first")
            # NullPool: a pooled connection would keep DuckDB's own lock on the file.
            engine = sa.create_engine(
                sa.URL.create("duckdb", database=str(self.path)),
                poolclass=NullPool,
                connect_args={"config": {"memory_limit": MEMORY, "temp_directory": f"{self.path}.spill"}},
            )
            try:
                connection = engine.connect()
            except sa.exc.DBAPIError as fault:
                raise UserError(
                    f"{self.path}: the catalogue cannot be opened: {fault.orig}. Close the other program "
                    "that has it open; to query, open catalog.duckdb beside it instead"
                ) from fault
            with connection, connection.begin():
                yield connection


@contextmanager
def registered(connection: sa.Connection, **frames: pl.DataFrame) -> Iterator[None]:
    """Lets SQL of this connection read frames by name: a million rows are inserted in a second."""
    raw = _raw(connection)
    for name, frame in frames.items():
        raw.register(name, frame.to_arrow())
    try:
        yield
    finally:
        for name in frames:
            raw.unregister(name)


def fetch(connection: sa.Connection, sql: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
    """A query's rows as a frame; parameters are written `$name`."""
    frame = _raw(connection).execute(sql, dict(parameters or {})).pl()
    assert isinstance(frame, pl.DataFrame)
    return frame


def _raw(connection: sa.Connection) -> Any:
    return connection.connection.dbapi_connection
