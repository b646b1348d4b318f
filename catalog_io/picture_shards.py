"""Stored pictures: Parquet shards, found by the hash of their bytes."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import polars as pl

from catalog_io.atomic import write_atomically
from catalog_io.images import Picture
from schemas.errors import UserError

# Small row groups of sorted hashes: a reader of some pictures skips the others.
ROW_GROUP_ROWS = 256

PICTURES = pl.Schema({"image_hash": pl.String(), "jpeg": pl.Binary(), "width": pl.Int32(), "height": pl.Int32()})


class PictureShards:
    """The folder `<home>/pictures`. A shard is never changed; a picture is in one of them."""

    def __init__(self, home: Path) -> None:
        self.folder = Path(home) / "pictures"

    def write(self, pictures: Iterable[Picture], known: Collection[str] = frozenset()) -> dict[str, str]:
        """Writes those not `known` as one new shard, each once; hash → shard name of what was written."""
        new = {picture.hash: picture for picture in pictures if picture.hash not in known}
        if not new:
            return {}
        name = f"shard-{uuid.uuid4().hex}.parquet"
        table = pl.DataFrame([new[key] for key in sorted(new)], schema=PICTURES, orient="row")
        write_atomically(self.folder / name, table, row_group_rows=ROW_GROUP_ROWS)
        return dict.fromkeys(new, name)

    def read(self, shard_of: Mapping[str, str]) -> dict[str, bytes]:
        """JPEG bytes by hash, for hash → shard name. Each shard is read once, and only the rows asked for."""
        wanted: defaultdict[str, list[str]] = defaultdict(list)
        for image_hash, shard in shard_of.items():
            wanted[shard].append(image_hash)
        found: dict[str, bytes] = {}
        for shard, hashes in wanted.items():
            found.update(self._read_shard(shard, hashes))
        if missing := shard_of.keys() - found.keys():
            raise UserError(
                f"{self.folder / shard_of[min(missing)]}: the stored picture {min(missing)} is gone "
                f"({len(missing)} in all); put the file back, or remove this home and ingest again"
            )
        return found

    def _read_shard(self, shard: str, hashes: list[str]) -> dict[str, bytes]:
        path = self.folder / shard
        if not path.is_file():
            return {}
        rows = pl.scan_parquet(path, glob=False).filter(pl.col("image_hash").is_in(hashes))
        return dict(rows.select("image_hash", "jpeg").collect().iter_rows())
