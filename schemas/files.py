"""Writes files whole or not at all: a reader, or a restart after a kill, finds the old content or the new one."""

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from glob import escape
from hashlib import file_digest
from pathlib import Path

import polars as pl


@contextmanager
def replacing(path: Path, *, sole_writer: bool = False) -> Iterator[Path]:
    """Yields a temporary path in the same folder; what the caller writes there replaces `path` when the block ends.

    File and folder entry are on the disk (fsync) before this returns. After an error, `path` is unchanged.
    `sole_writer`: no other process writes `path` now, so temporary files left by killed ones are removed first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if sole_writer:
        for leftover in path.parent.glob(f".{escape(path.name)}.*.tmp*"):
            leftover.unlink(missing_ok=True)
    # Two processes may write the same file at once: each has its own temporary file, and the last one wins.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes text (UTF-8) or bytes with `replacing`."""
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def write_parquet(path: Path, table: pl.DataFrame, *, row_group_rows: int | None = None) -> Path:
    """Writes a Parquet file with `replacing`, and returns its path. Tables with a column of bytes are not compressed:
    JPEG and bfloat16 do not get smaller."""
    has_bytes = any(dtype == pl.Binary for dtype in table.dtypes)
    with replacing(path) as temporary:
        table.write_parquet(
            temporary, compression="uncompressed" if has_bytes else "zstd", row_group_size=row_group_rows
        )
    return path


def is_whole(path: Path) -> bool:
    """Whether this is a Parquet file with a footer that can be read: a cut one has none."""
    try:
        pl.read_parquet_schema(path)
    except (pl.exceptions.PolarsError, FileNotFoundError):
        return False
    return True


def remove_damaged(paths: Iterable[Path]) -> list[Path]:
    """Removes the Parquet files that cannot be read to their end, and returns their paths."""
    removed = []
    for path in paths:
        try:
            pl.read_parquet(path, glob=False)
        except (pl.exceptions.PolarsError, FileNotFoundError):
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hex."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
