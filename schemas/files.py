"""Files that are either whole or not there, whatever kills the writer."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    pass


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; what was written there replaces `path` on leaving without error.

    Data and folder entry are on the disk before this returns. After an error `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two processes may write the same part at once: each has its own temporary file, the last one stands.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, table: pl.DataFrame, *, row_group_rows: int | None = None) -> Path:
    """Writes Parquet. Uncompressed where it carries pictures: JPEG does not get smaller."""
    has_bytes = any(dtype == pl.Binary for dtype in table.dtypes)
    with replacing(path) as temporary:
        table.write_parquet(
            temporary, compression="uncompressed" if has_bytes else "zstd", row_group_size=row_group_rows
        )
    return path


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: str | bytes) -> None:
    """Whoever reads at the same time, or after a kill, finds the old content or the new one."""
    whole = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    whole.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(whole, path)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
