"""Many small shards, one from each night, made into few of sensible size; and shards that nothing names any more."""

import os
import time
from pathlib import Path
from typing import NamedTuple

from catalog_io.catalog.catalog import Catalog
from catalog_io.pictures.shards import SHARD_BYTES, PictureShards

# Runs and snapshots that began before still read the old shards.
GRACE_SECONDS = 24 * 3600


class Compacted(NamedTuple):
    """Shards merged, what they became, and files removed."""

    merged: int
    into: int
    removed: int


def compact(catalog: Catalog, shards: PictureShards, *, fewest: int = 2) -> Compacted:
    """Merges the shards under half of SHARD_BYTES, where there are at least `fewest`, then removes files that no
    picture has named for a day. Killed at any point, it has lost and doubled nothing."""
    small = [name for name, size in catalog.shard_sizes().items() if size < SHARD_BYTES / 2]
    merged, into = 0, 0
    if len(small) >= fewest:
        index = shards.append(shards.all_of(name) for name in small)
        catalog.move_pictures(index.select("image_hash", "shard"), small)
        merged, into = len(small), index["shard"].n_unique()
        for name in small:
            os.utime(shards.folder / name)  # the grace begins now
    return Compacted(merged, into, _remove_unnamed(catalog, shards.folder))


def _remove_unnamed(catalog: Catalog, folder: Path) -> int:
    # First the files, then the names: a shard that an ingest writes meanwhile is too young to be among them.
    old = [path for path in folder.glob("*.parquet*") if path.stat().st_mtime < time.time() - GRACE_SECONDS]
    named = catalog.shard_sizes().keys() if old else ()
    unnamed = [path for path in old if path.name not in named]
    for path in unnamed:
        path.unlink(missing_ok=True)
    return len(unnamed)
