"""Stores the features of listings by input hash, so that the engine does not run again for unchanged listings."""

import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from zlib import crc32

import polars as pl

from schemas.errors import DamagedFile
from schemas.files import write_parquet
from schemas.frames import KEPT

FILE_ROWS = 16_384  # of a merged file; as many are in memory at once
FEWEST = 16  # small files that are merged
ENCODERS = 2  # whose features are kept: the champion's, and the one that a rollback returns to

INDEX = pl.Schema({"input_hash": pl.String(), "file": pl.String()})


class FeatureStore:
    """The Parquet files in `<home>/features/<encoder>`. Lost ones are computed again. One run at a time writes."""

    def __init__(self, home: Path, encoder: str) -> None:
        self.folder = Path(home) / "features" / encoder

    def index(self) -> pl.DataFrame:
        """input_hash, file: the file with the features of each input. Files that are not Parquet are removed."""
        parts = [pl.DataFrame(schema=INDEX)]
        for path in sorted(self.folder.glob("*.parquet")):
            try:
                hashes = pl.read_parquet(path, columns=["input_hash"], glob=False)
            except (pl.exceptions.PolarsError, OSError):
                path.unlink()
            else:
                parts.append(hashes.with_columns(file=pl.lit(path.name)))
        return pl.concat(parts).unique("input_hash", maintain_order=True)

    def tidy(self, wanted: pl.Series) -> None:
        """Merges small files, keeping only the `wanted` input hashes, and removes the folders of the encoders that were
        used the longest ago. A kill at any point loses nothing."""
        used = self.index().filter(pl.col("input_hash").is_in(wanted.implode()))
        rows = dict(used.group_by("file").len().iter_rows())
        small = [path for path in sorted(self.folder.glob("*.parquet")) if rows.get(path.name, 0) < FILE_ROWS / 2]
        if len(small) >= FEWEST:
            for table in _merged(small, used["input_hash"]):
                write_parquet(self.folder / f"{uuid.uuid4().hex}.parquet", table)
            for path in small:
                path.unlink(missing_ok=True)
        if self.folder.exists():
            os.utime(self.folder)
        folders = sorted(self.folder.parent.glob("*/"), key=lambda folder: folder.stat().st_mtime)
        for folder in folders[:-ENCODERS]:
            shutil.rmtree(folder)


def read_features(path: Path) -> pl.DataFrame:
    """The KEPT rows of a file, each input hash once. A damaged file is removed, with DamagedFile."""
    try:
        rows = pl.read_parquet(path, glob=False)
        if not rows["crc32"].equals(_checksums(rows)):
            raise OSError("a checksum differs")
    except (pl.exceptions.PolarsError, OSError) as fault:
        path.unlink(missing_ok=True)
        told = f"{path}: these stored features were damaged and have been removed"
        raise DamagedFile(told) from fault
    return rows.unique("input_hash")


def write_features(path: Path, encoded: pl.DataFrame) -> None:
    """Writes the features of an ENCODED frame, each input hash once; listings with an error have none."""
    kept = encoded.filter(pl.col("features").is_not_null()).unique("input_hash")
    if kept.height:
        write_parquet(path, kept.with_columns(crc32=_checksums(kept)).select(KEPT.names()))


def _checksums(rows: pl.DataFrame) -> pl.Series:
    """The CRC-32 of each row, since these Parquet pages have none and a flipped bit would change tags unnoticed."""
    cells = rows.select("features", "input_hash", "has_picture", "has_title").iter_rows()
    return pl.Series("crc32", [crc32(features, crc32(repr(others).encode())) for features, *others in cells], pl.UInt32)


def _merged(paths: Sequence[Path], wanted: pl.Series) -> Iterator[pl.DataFrame]:
    waiting = pl.DataFrame(schema=KEPT)
    for path in paths:
        with suppress(DamagedFile):  # a damaged file is removed, and computed again when it is needed
            rows = read_features(path).filter(pl.col("input_hash").is_in(wanted.implode()))
            waiting = pl.concat([waiting, rows]).unique("input_hash")
        while waiting.height >= FILE_ROWS:
            yield waiting.head(FILE_ROWS)
            waiting = waiting[FILE_ROWS:]
    if waiting.height:
        yield waiting
