"""Stores pictures in Parquet shards, and reads them by the hash of their bytes."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from schemas.errors import UserError
from schemas.files import write_parquet

# Hashes are sorted, so a reader of some pictures skips the row groups of the others.
ROW_GROUP_ROWS = 256

SHARD_BYTES = 64_000_000

PICTURES = pl.Schema(
    {
        "image_hash": pl.String(),
        "jpeg": pl.Binary(),
        "width": pl.Int32(),
        "height": pl.Int32(),
        "perceptual_hash": pl.String(),
    }
)


class PictureShards:
    """The folder `<home>/pictures`. A shard never changes; each picture is in one shard."""

    def __init__(self, home: Path) -> None:
        self.folder = Path(home) / "pictures"

    def append(self, rows: Iterable[pl.DataFrame]) -> pl.DataFrame:
        """Writes pictures (image_hash, jpeg, width, height, perceptual_hash) as new shards of about SHARD_BYTES.

        Returns them without jpeg, with `bytes` and `shard`. No picture may come twice."""
        index, waiting, size = [], [pl.DataFrame(schema=PICTURES)], 0
        for frame in rows:
            for part in frame.iter_slices(ROW_GROUP_ROWS):
                waiting.append(part.select(PICTURES.names()).cast(PICTURES))
                size += int(part["jpeg"].bin.size().sum() or 0)
                if size >= SHARD_BYTES:
                    index.append(self._write(waiting))
                    waiting, size = [pl.DataFrame(schema=PICTURES)], 0
        index.append(self._write(waiting))
        return pl.concat(index)

    def _write(self, frames: list[pl.DataFrame]) -> pl.DataFrame:
        table = pl.concat(frames).sort("image_hash")
        name = f"shard-{uuid.uuid4().hex}.parquet"
        if table.height:
            write_parquet(self.folder / name, table, row_group_rows=ROW_GROUP_ROWS)
        return table.with_columns(bytes=pl.col("jpeg").bin.size().cast(pl.Int64), shard=pl.lit(name)).drop("jpeg")

    def read_shard(self, shard: str) -> pl.DataFrame:
        """All rows of a shard, as PICTURES."""
        return pl.read_parquet(self.folder / shard, glob=False)

    def read(self, shard_of: Mapping[str, str]) -> dict[str, bytes]:
        """JPEG bytes by hash, for hash → shard name; each shard is read once. UserError where one is missing."""
        wanted: defaultdict[str, list[str]] = defaultdict(list)
        for image_hash, shard in shard_of.items():
            wanted[shard].append(image_hash)
        found: dict[str, bytes] = {}
        for shard, hashes in wanted.items():
            found.update(self._jpegs(shard, hashes))
        if missing := shard_of.keys() - found.keys():
            raise UserError(
                f"{self.folder / shard_of[min(missing)]}: the stored picture {min(missing)} is gone "
                f"({len(missing)} in all); put the file back, or remove this home and ingest again"
            )
        return found

    def _jpegs(self, shard: str, hashes: list[str]) -> dict[str, bytes]:
        path = self.folder / shard
        if not path.is_file():
            return {}
        rows = pl.scan_parquet(path, glob=False).filter(pl.col("image_hash").is_in(hashes))
        return dict(rows.select("image_hash", "jpeg").collect().iter_rows())
