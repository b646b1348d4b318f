"""Merges the small shards that nightly runs leave, and removes shard files that no picture names any more."""

import os
import time
from pathlib import Path
from typing import NamedTuple

from catalog_io.catalog.catalog import Catalog
from catalog_io.pictures.shards import SHARD_BYTES, PictureShards

# Runs that began earlier may still read the old shards.
GRACE_SECONDS = 24 * 3600


class Compacted(NamedTuple):
    """Numbers of shards that were merged, of the shards that they became, and of files that were removed."""

    merged: int
    into: int
    removed: int


def compact(catalog: Catalog, shards: PictureShards, *, fewest: int = 2) -> Compacted:
    """Merges the shards under half of SHARD_BYTES, where there are at least `fewest`, then removes files that no
    picture has named for a day. A kill at any point loses and duplicates nothing."""
    small = [name for name, size in catalog.shard_sizes().items() if size < SHARD_BYTES / 2]
    merged, into = 0, 0
    if len(small) >= fewest:
        index = shards.append(shards.read_shard(name) for name in small)
        catalog.move_pictures(index.select("image_hash", "shard"), small)
        merged, into = len(small), index["shard"].n_unique()
        for name in small:
            os.utime(shards.folder / name)  # they can go a day from now
    return Compacted(merged, into, _remove_unnamed(catalog, shards.folder))


def _remove_unnamed(catalog: Catalog, folder: Path) -> int:
    # First the files, then the names: a shard that an ingest writes meanwhile is too young to be among the files.
    old = [path for path in folder.glob("*.parquet*") if path.stat().st_mtime < time.time() - GRACE_SECONDS]
    named = catalog.shard_sizes().keys() if old else ()
    unnamed = [path for path in old if path.name not in named]
    for path in unnamed:
        path.unlink(missing_ok=True)
    return len(unnamed)
