"""The picture step of an ingest: Dask workers fetch and shrink the pictures that are new or changed."""

import os
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow.parquet as pq

from catalog_io.catalog.database import now
from catalog_io.pictures.fetching.root import PictureRoot
from catalog_io.pictures.fetching.settings import FetchSettings
from catalog_io.pictures.units import done_path, give_up, process_unit, split_unit, write_units
from catalog_io.pictures.work import PICTURE_WORK
from flows.project.cluster import dask_client
from flows.project.progress import bar
from flows.project.project import cores
from flows.project.settings import IngestSettings
from schemas.pictures import PIXEL_RULES, TRANSIENT
from schemas.secrets import redacted

if TYPE_CHECKING:
    from distributed import Future

BATCH_ROWS = 65_536


def root_name(root: str, project: Path) -> str:
    """The picture root as the catalogue remembers it: without secrets, and inside the project's folder relative to it,
    since a project may be moved."""
    return os.path.relpath(root, project) if Path(root).is_relative_to(project) else redacted(root)


def write_reference_units(known: Path, root: PictureRoot, folder: Path, settings: IngestSettings) -> Iterator[Path]:
    """Units of the references (file of `Catalog.write_references`) that are new, changed, or due for a check."""
    for batch in pq.ParquetFile(known).iter_batches(BATCH_ROWS):
        yield from write_units(_due(pl.DataFrame(batch), root, settings), folder)


def _due(references: pl.DataFrame, root: PictureRoot, settings: IngestSettings) -> pl.DataFrame:
    """PICTURE_WORK rows: local files whose stamp changed, remote pictures after `recheck_days` or a failure, and all
    that were last read for another size or by other PIXEL_RULES."""
    old = now() - timedelta(days=settings.recheck_days)
    due = []
    for row in references.iter_rows(named=True):
        # A stamp lets the server answer "unchanged", which is right only where it was last read in the same way.
        known = row["picture_size"] == settings.picture_size and row["pixel_rules"] == PIXEL_RULES
        stamp = (row["stamp"] or "") if known else ""
        if known:
            here = root.stamp(row["uri"])
            if here is not None and here == row["stamp"]:
                continue
            if here is None and row["code"] not in TRANSIENT and row["checked_at"] > old:
                continue
        due.append((row["key"], row["uri"], stamp, None))
    return pl.DataFrame(due, schema=PICTURE_WORK, orient="row")


def work_units(
    units: Iterable[Path], root: str, fetch: FetchSettings, settings: IngestSettings, *, feed: str
) -> tuple[list[Path], int]:
    """Processes the units that have no results yet; returns the files of results and the number of references."""
    done = {unit: done_path(unit) for unit in units}
    rows = {unit: pq.read_metadata(unit).num_rows for unit in done}
    todo = [unit for unit, result in done.items() if not result.exists()]
    if not todo:
        return list(done.values()), sum(rows.values())
    from distributed import KilledWorker, as_completed  # takes a second, which a run without new pictures saves

    workers, total = settings.workers or cores(), sum(rows[unit] for unit in todo)
    with bar(f"pictures of {feed}", total) as advance, dask_client(settings.dask, workers) as client:

        def submit(unit: Path) -> "Future[int]":
            future = client.submit(process_unit, unit, root, fetch, settings.picture_size, pure=False)
            unit_of[future] = unit
            return future

        unit_of: dict[Future[int], Path] = {}
        suspects: list[Path] = []
        working = as_completed([submit(unit) for unit in todo])
        for future in working:
            unit = unit_of.pop(future)
            try:
                advance(future.result())
            except KilledWorker:
                halves = split_unit(unit)
                if halves:
                    del done[unit]
                    done.update((half, done_path(half)) for half in halves)
                    working.update([submit(half) for half in halves if not done_path(half).exists()])
                else:
                    suspects.append(unit)
        for unit in suspects:  # one at a time, since Dask blames every task that waited for a worker that died
            try:
                advance(submit(unit).result())
            except KilledWorker:
                give_up(unit)
                advance(1)
    return list(done.values()), sum(rows.values())
