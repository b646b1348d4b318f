"""The picture step of an ingest: Dask workers fetch and shrink the pictures that are new or changed."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from catalog_io.catalog.database import now
from catalog_io.pictures.fetching.root import PictureRoot
from catalog_io.pictures.fetching.settings import FetchSettings
from catalog_io.pictures.units import done_path, give_up, process_unit, split_unit, write_units
from catalog_io.pictures.work import PICTURE_WORK
from flows.project.cluster import dask_client
from flows.project.isolation import run_units
from flows.project.progress import bar
from flows.project.project import cores
from flows.project.settings import IngestSettings
from schemas.files import is_whole
from schemas.pictures import PIXEL_RULES, TRANSIENT
from schemas.secrets import redacted

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


@dataclass(frozen=True)
class PictureUnits:
    """The work on units of a feed's pictures (see `flows.project.isolation.Work`)."""

    root: str
    fetch: FetchSettings
    picture_size: int

    def run(self, unit: Path) -> int:
        return process_unit(unit, self.root, self.fetch, self.picture_size)

    def is_done(self, unit: Path) -> bool:
        return is_whole(done_path(unit))

    def halves(self, unit: Path) -> list[Path]:
        return split_unit(unit)

    def give_up(self, unit: Path, death: str) -> None:
        give_up(unit, death)


def work_units(
    units: Iterable[Path], root: str, fetch: FetchSettings, settings: IngestSettings, *, feed: str
) -> tuple[list[Path], int]:
    """Processes the units that have no results yet; returns the files of results and the number of references."""
    work, unique = PictureUnits(root, fetch, settings.picture_size), list(dict.fromkeys(units))
    rows = {unit: pq.read_metadata(unit).num_rows for unit in unique}
    todo = [unit for unit in unique if not work.is_done(unit)]
    if todo:
        workers = settings.workers or cores()
        with (
            bar(f"pictures of {feed}", sum(rows[unit] for unit in todo)) as advance,
            dask_client(settings.dask, workers) as client,
        ):
            unique = run_units(work, unique, client, advance)
    return [done_path(unit) for unit in unique], sum(rows.values())
