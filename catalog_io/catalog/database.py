"""The writer's own database file, opened by one process at a time and only for as long as a transaction."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import filelock
import polars as pl

from catalog_io.files import MEMORY
from schemas.errors import UserError

SNAPSHOT = "catalog.duckdb"


class Database:
    """`<home>/work.duckdb`, guarded by `<home>/catalog.lock`.

    DuckDB lets one process open a file for writing, and none beside it, so reads go through the lock, too. Where the
    home cannot be written, as on a read-only mount, reads go to the published snapshot instead.
    """

    def __init__(self, home: Path, lock_timeout: float) -> None:
        self.read_only = home.exists() and not os.access(home, os.W_OK)
        self.path = home / (SNAPSHOT if self.read_only else "work.duckdb")
        self.lock_path = home / "catalog.lock"
        self.lock_timeout = lock_timeout

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Holds the lock; UserError where another run holds it for longer than the timeout (seconds)."""
        if self.read_only:  # nobody writes here, and nobody can lock
            yield
            return
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
    def transaction(self, *, create: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """One transaction: committed on leaving, rolled back on an error."""
        with self.exclusive():
            if not create and not self.path.exists():
                raise UserError(f"{self.path}: there is no catalogue yet; run `cma ingest` first")
            try:
                connection = duckdb.connect(
                    self.path,
                    read_only=self.read_only,
                    config={"memory_limit": MEMORY, "temp_directory": f"{self.path}.spill"},
                )
            except duckdb.IOException as fault:
                if "Could not set lock" not in str(fault):
                    raise
                raise UserError(
                    f"{self.path}: the catalogue cannot be opened: {fault}. Close the other program "
                    "that has it open; to query, open catalog.duckdb beside it instead"
                ) from fault
            with connection:  # closing it rolls back what is not committed
                connection.begin()
                yield connection
                connection.commit()

    def execute(self, sql: str, values: Mapping[str, Any] | None = None, **frames: pl.DataFrame) -> pl.DataFrame:
        """`execute` in a transaction of its own."""
        with self.transaction() as connection:
            return execute(connection, sql, values, **frames)


def execute(
    connection: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, Any] | None = None, **frames: pl.DataFrame
) -> pl.DataFrame:
    """The rows that one SQL statement returns.

    `$name` in the statement stands for a value of that name; other values are ignored. `frames` are tables of the
    statement by their names: a million rows are inserted in a second.
    """
    for name, frame in frames.items():
        connection.register(name, frame.to_arrow())
    try:
        used = {name: (values or {})[name] for name in re.findall(r"\$([a-z_]+)", sql)}
        return connection.execute(sql, used).pl()
    finally:
        for name in frames:
            connection.unregister(name)


def insert(connection: duckdb.DuckDBPyConnection, table: str, **row: Any) -> None:
    """Inserts one row; columns that are left out are null."""
    execute(connection, f"insert into {table} ({', '.join(row)}) values ({', '.join(f'${name}' for name in row)})", row)


def now() -> datetime:
    """The time as the tables store it."""
    return utc(datetime.now(UTC))


def utc(moment: datetime) -> datetime:
    """The moment in UTC without a zone, as the tables store it; one without a zone is taken as UTC."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
