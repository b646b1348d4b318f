"""Stores pictures in Parquet shards, and reads them by the hash of their bytes."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
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


class DamagedShards(UserError):
    """Some shards are lost or cannot be read. `shards` are their names."""

    def __init__(self, folder: Path, shards: Collection[str]) -> None:
        super().__init__(
            f"{folder / min(shards)}: these stored pictures are lost, or cannot be read ({len(shards)} such files): "
            "the next `cma ingest` fetches them again from the feeds"
        )
        self.shards = shards


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
        """All rows of a shard, as PICTURES. DamagedShards where it is lost or cannot be read."""
        try:
            return pl.read_parquet(self.folder / shard, glob=False)
        except (pl.exceptions.PolarsError, FileNotFoundError) as fault:
            raise DamagedShards(self.folder, [shard]) from fault

    def read(self, shard_of: Mapping[str, str]) -> dict[str, bytes]:
        """JPEG bytes by hash, for hash → shard name; each shard is read once. DamagedShards where some are lost, or
        cannot be read."""
        found, damaged = self.read_sound(shard_of)
        if damaged:
            raise DamagedShards(self.folder, damaged)
        return found

    def read_sound(self, shard_of: Mapping[str, str]) -> tuple[dict[str, bytes], set[str]]:
        """What `read` returns of the shards that can be read, and the names of the others."""
        wanted: defaultdict[str, list[str]] = defaultdict(list)
        for image_hash, shard in shard_of.items():
            wanted[shard].append(image_hash)
        found: dict[str, bytes] = {}
        for shard, hashes in wanted.items():
            found.update(self._jpegs(shard, hashes))
        return found, {shard_of[missing] for missing in shard_of.keys() - found.keys()}

    def _jpegs(self, shard: str, hashes: list[str]) -> dict[str, bytes]:
        rows = pl.scan_parquet(self.folder / shard, glob=False).filter(pl.col("image_hash").is_in(hashes))
        try:
            return dict(rows.select("image_hash", "jpeg").collect().iter_rows())
        except (pl.exceptions.PolarsError, FileNotFoundError):
            return {}
