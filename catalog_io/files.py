"""How DuckDB is told of files: quoting, glob patterns, and the memory that it may use."""

import glob
from pathlib import Path

MEMORY = "2GB"  # of DuckDB, which goes on on disk where it needs more


def quoted(path: Path | str) -> str:
    """A path inside the quotes of an SQL text."""
    return str(path).replace("'", "''")


def as_pattern(path: Path) -> str:
    """A path for `read_parquet`, which would take a [ in it for a pattern."""
    return glob.escape(str(path))
