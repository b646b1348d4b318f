"""Cuts listings into Parquet partitions: the units of work of a tagging run."""

from collections.abc import Callable
from pathlib import Path

import polars as pl

from catalog_io.pictures.shards import PictureShards
from schemas.files import write_parquet
from schemas.frames import LABEL_PREFIX, WORK

POOL_ROWS = 4096  # listings whose pictures are in memory at once (about 20 kB each)


def write_partitions(
    frame: pl.DataFrame,
    shards: PictureShards,
    folder: Path,
    *,
    rows_per_partition: int = 512,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Path]:
    """Writes `part-00000.parquet`, … in WORK shape from a frame of `Catalog.listings()` or `.untagged()`.

    Within a pool of partitions, rows are sorted by title length, since batches are padded to their longest title.
    The order of the frame's rows does not change the partitions.
    """
    labels = [name for name in frame.columns if name.startswith(LABEL_PREFIX)]
    # Listings whose pictures lie in one shard are neighbours, so that a pool reads few shards.
    frame = frame.sort("shard", "image_hash", "feed", "listing_id", nulls_last=True)
    pool_rows = max(1, POOL_ROWS // rows_per_partition) * rows_per_partition
    paths: list[Path] = []
    for pool in frame.iter_slices(pool_rows):
        shard_of = dict(pool.filter(pl.col("image_hash").is_not_null()).select("image_hash", "shard").iter_rows())
        jpeg = shards.read(shard_of)
        pictures = pl.Series("picture", [jpeg.get(key) for key in pool["image_hash"]], pl.Binary)
        work = pool.with_columns(pictures).select(*WORK.names(), *labels)
        work = work.sort(pl.col("title").str.len_chars(), "feed", "listing_id")
        for part in work.iter_slices(rows_per_partition):
            paths.append(write_parquet(folder / f"part-{len(paths):05d}.parquet", part))
            progress(part.height)
    return paths
