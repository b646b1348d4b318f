"""The analysts' snapshot: a read-only copy of the catalogue that is replaced in one step."""

from pathlib import Path

import duckdb
import polars as pl

from catalog_io.catalog.database import SNAPSHOT, Database
from catalog_io.files import literal
from schemas.errors import UserError
from schemas.files import replacing


def publish(database: Database) -> Path:
    """See `Catalog.publish`. UserError where there is no catalogue yet."""
    snapshot = database.path.with_name(SNAPSHOT)
    with database.exclusive():
        if not database.path.exists():
            raise UserError(f"{database.path}: there is no catalogue to publish; run `cma ingest` first")
        # `replacing` inside the lock: of two runs, the one that copies last also replaces last.
        with replacing(snapshot, sole_writer=True) as temporary, duckdb.connect() as connection:
            connection.execute(f"attach {literal(database.path)} as work")
            connection.execute(f"attach {literal(temporary)} as snapshot")
            connection.execute("copy from database work to snapshot")
            connection.execute("detach snapshot")
            connection.execute("checkpoint work")  # an empty log has nothing to replay after a kill
    return snapshot


def query(home: Path, sql: str) -> pl.DataFrame:
    """Rows of one SQL query on the published snapshot; it can read nothing else and change nothing."""
    snapshot = Path(home) / SNAPSHOT
    if not snapshot.is_file():
        raise UserError(f"{snapshot}: nothing is published yet; run `cma ingest` first")
    # Attached to a fresh instance: by path, a process that still reads the old snapshot gets that again.
    with duckdb.connect(
        ":memory:", config={"autoload_known_extensions": "false", "autoinstall_known_extensions": "false"}
    ) as connection:
        try:
            connection.execute(f"attach {literal(snapshot)} as catalog (read_only)")
            connection.execute("use catalog")
            connection.execute("set enable_external_access = false")
            connection.execute("set lock_configuration = true")
            if len(connection.extract_statements(sql)) != 1:
                raise UserError("write one SQL statement, such as: select * from tagged_listings limit 10")
            return connection.execute(sql).pl()
        except duckdb.Error as fault:
            raise UserError(f"the query failed: {fault}") from fault
