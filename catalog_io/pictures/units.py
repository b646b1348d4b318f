"""Units of work of the picture step: a file of references in, a file of shrunk pictures out.

A unit is named by its content, so that a run reuses the results of a killed one.
"""

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import polars as pl

from catalog_io.pictures.fetching.settings import FetchSettings
from catalog_io.pictures.work import PICTURE_DONE, PICTURE_WORK, process_pictures
from schemas.errors import DamagedFile
from schemas.files import is_whole, write_parquet
from schemas.pictures import PIXEL_RULES

UNIT_ROWS = 256  # pictures, which take some seconds
UNIT_BYTES = 64_000_000  # of embedded pictures in a unit
CONNECTIONS = 16  # at once, of a worker that fetches remote pictures


def unit_folder(folder: Path, root: str, picture_size: int) -> Path:
    """The folder inside `folder` for results with this picture root, size and PIXEL_RULES."""
    name = f"{PIXEL_RULES}\0{picture_size}\0{root}".encode("utf-8", "surrogateescape")
    return folder / blake2b(name, digest_size=16).hexdigest()


def write_units(work: pl.DataFrame, folder: Path) -> Iterator[Path]:
    """Writes PICTURE_WORK rows as units into `folder`, and yields their paths."""
    row = 0
    while row < work.height:
        sizes = work["data"].slice(row, UNIT_ROWS).bin.size().fill_null(0).cum_sum()
        rows = max(1, int((sizes <= UNIT_BYTES).sum()))
        yield write_unit(work.slice(row, rows), folder)
        row += rows


def write_unit(work: pl.DataFrame, folder: Path) -> Path:
    """Writes one unit, unless it is there already; its name is the hash of its keys and stamps."""
    name = blake2b(digest_size=16)
    for key, stamp in work.select("key", "stamp").iter_rows():
        name.update(f"\0{key}\0{stamp}".encode())
    path = folder / f"{name.hexdigest()}.work.parquet"
    return path if is_whole(path) else write_parquet(path, work.select(PICTURE_WORK.names()).cast(PICTURE_WORK))


def done_path(unit: Path) -> Path:
    """The file of a unit's results (PICTURE_DONE)."""
    return unit.with_name(unit.name.replace(".work.", ".done."))


def process_unit(unit: Path, root: str, fetch: FetchSettings, picture_size: int) -> int:
    """Processes one unit in a Dask worker and writes its results; returns the number of pictures. DamagedFile where the
    unit cannot be read."""
    try:
        work = pl.read_parquet(unit, glob=False)
    except pl.exceptions.PolarsError as fault:
        unit.unlink(missing_ok=True)
        raise DamagedFile(f"{unit}: this work was damaged and has been removed") from fault
    remote = "://" in root or work["uri"].str.contains("//", literal=True).any()
    threads = CONNECTIONS if remote else 1
    done = process_pictures(work, root, fetch, short_side=picture_size, threads=threads)
    write_parquet(done_path(unit), done)
    return work.height


def split_unit(unit: Path) -> list[Path]:
    """Writes the halves of a unit that kills its workers; empty for a unit of one picture."""
    work = pl.read_parquet(unit, glob=False)
    half = work.height // 2
    return [write_unit(part, unit.parent) for part in (work[:half], work[half:])] if half else []


def give_up(unit: Path, death: str) -> None:
    """Writes the result of a unit whose one picture kills its workers: the picture is unusable. `death`: what ended
    them, such as "SIGKILL"."""
    work = pl.read_parquet(unit, glob=False)
    given_up = work.select("key", "uri", "stamp").with_columns(
        code=pl.lit("picture_kills_worker"),
        sentence=pl.lit(f"worker processes died of this picture repeatedly ({death})"),
    )
    write_parquet(done_path(unit), pl.concat([pl.DataFrame(schema=PICTURE_DONE), given_up], how="diagonal"))
