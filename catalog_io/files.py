"""File paths in DuckDB's SQL, and the memory that DuckDB may use."""

import glob
from pathlib import Path

MEMORY = "2GB"  # beyond it, DuckDB continues on disk


def literal(path: Path | str) -> str:
    """The path as a quoted literal of SQL."""
    return "'{}'".format(str(path).replace("'", "''"))


def as_pattern(path: Path) -> str:
    """The path for `read_parquet`, which takes it for a glob pattern, so that a [ in it needs escaping."""
    return glob.escape(str(path))
