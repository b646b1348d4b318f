"""The writer's own database file, opened by one process at a time and only for as long as a transaction."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
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
        """Holds the lock; UserError where another run holds it for longer than the timeout (seconds)."""
        self.lock_path.parent.mkdir(parents=True, exist_ok=True)
        try:
            held = filelock.FileLock(self.lock_path, timeout=self.lock_timeout).acquire()
        except filelock.Timeout as fault:
            raise UserError(
                f"{self.lock_path}: another cma run is writing to this catalogue, and did not end within "
                f"{self.lock_timeout:.0f} s; wait until it has ended, and run this again"
            ) from fault
        with held:
            yield

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

    def execute(self, sql: str, values: Mapping[str, Any] | None = None, **frames: pl.DataFrame) -> pl.DataFrame:
        """`execute` in a transaction of its own."""
        with self.transaction() as connection:
            return execute(connection, sql, values, **frames)


def execute(
    connection: sa.Connection, sql: str, values: Mapping[str, Any] | None = None, **frames: pl.DataFrame
) -> pl.DataFrame:
    """The rows that one SQL statement returns.

    `$name` in the statement stands for a value of that name; other values are ignored. `frames` are tables of the
    statement by their names: a million rows are inserted in a second.
    """
    raw: Any = connection.connection.dbapi_connection
    for name, frame in frames.items():
        raw.register(name, frame.to_arrow())
    try:
        rows = raw.execute(sql, {name: (values or {})[name] for name in re.findall(r"\$([a-z_]+)", sql)}).pl()
    finally:
        for name in frames:
            raw.unregister(name)
    assert isinstance(rows, pl.DataFrame)
    return rows


def now() -> datetime:
    """The time as the tables store it."""
    return utc(datetime.now(UTC))


def utc(moment: datetime) -> datetime:
    """The moment in UTC without a zone, as the tables store it; one without a zone is taken as UTC."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
