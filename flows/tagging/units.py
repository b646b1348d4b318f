"""The units of a tagging run: writes its listings as units, and tags a unit in a Dask worker."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import polars as pl

from catalog_io.feature_store import FILE_ROWS, INDEX, FeatureStore, read_features, write_features
from catalog_io.partitions import write_partitions
from catalog_io.pictures.shards import PictureShards
from flows.project.space import require_space
from models.engines.table import EngineName
from schemas.files import is_whole, write_parquet
from schemas.frames import ENCODED, LABEL_PREFIX, TAGGED

if TYPE_CHECKING:
    from models.lifecycle.tagger import Tagger
    from models.rules.tags import TagRules

AT_ONCE = 2  # units in a worker: while one is in the engine, pictures of the other are decoded
_loading = Lock()
_BYTES = 25_000  # of a listing while it is tagged: a copy of its picture, its features and its tags


@dataclass(frozen=True)
class Champion:
    """The model and the engine that a worker tags with."""

    folder: Path
    engine: EngineName
    rules: str  # ids of the rules by which its feeds are tagged, joined


@dataclass(frozen=True)
class Unit:
    """Listings that a worker tags at once."""

    listings: Path  # a WORK file; with `known`, a file of keys and labels only
    rows: int
    out: Path  # where the tags are written
    known: Path | None = None  # the file of stored features
    keep: Path | None = None  # where new features are written; None: nowhere


def write_units(
    untagged: pl.DataFrame, shards: PictureShards, store: FeatureStore | None, folder: Path, *, rows: int
) -> list[Unit]:
    """Writes the listings of a run to `folder` as units of `rows` listings; a resumed run gets the same units. Listings
    whose features are in `store` get units of their own, without pictures."""
    known = _known(untagged, store, folder)
    new = untagged.join(known, on="input_hash", how="anti")
    require_space(folder, new.height * _BYTES, f"tagging {new.height} new or changed listings")
    paths = write_partitions(new, shards, folder / "in", rows_per_partition=rows)
    units = [
        Unit(
            path,
            min(rows, new.height - number * rows),
            folder / "out" / path.name,
            keep=store.folder / f"{folder.name.removeprefix('.unfinished-')}-{path.name}" if store else None,
        )
        for number, path in enumerate(paths)
    ]
    if store:
        units += _units_of_known(untagged.join(known, on="input_hash"), store, folder)
    return units


def _known(untagged: pl.DataFrame, store: FeatureStore | None, folder: Path) -> pl.DataFrame:
    """Inputs whose features are stored already (input_hash, file). Written at the start, because the run stores more
    and a resumed run must split the work the same way."""
    path = folder / "known.parquet"
    if path.exists():
        known = pl.read_parquet(path) if is_whole(path) else pl.DataFrame(schema=INDEX)
        if is_whole(path) and store and all((store.folder / file).exists() for file in known["file"].unique()):
            return known
        shutil.rmtree(folder)
        folder.mkdir()
    found = store.index() if store else pl.DataFrame(schema=INDEX)
    return pl.read_parquet(write_parquet(path, found.join(untagged, on="input_hash", how="semi")))


def _units_of_known(listings: pl.DataFrame, store: FeatureStore, folder: Path) -> Iterator[Unit]:
    labels = [name for name in listings.columns if name.startswith(LABEL_PREFIX)]
    parts = (
        (str(file), part)
        for (file,), group in listings.sort("file", "feed", "listing_id").group_by("file", maintain_order=True)
        for part in group.select("feed", "listing_id", "input_hash", "fingerprint", *labels).iter_slices(FILE_ROWS)
    )
    for number, (file, part) in enumerate(parts):
        name = f"known-{number:05d}.parquet"
        path = write_parquet(folder / "in" / name, part)
        yield Unit(path, part.height, folder / "out" / name, known=store.folder / file)


@dataclass(frozen=True)
class TagUnits:
    """The work on units of listings (see `flows.project.isolation.Work`)."""

    champion: Champion
    threads: int  # of an engine

    def run(self, unit: Unit) -> int:
        return tag_unit(unit, self.champion, self.threads)

    def is_done(self, unit: Unit) -> bool:
        return is_whole(unit.out)

    def halves(self, unit: Unit) -> list[Unit]:
        listings = pl.read_parquet(unit.listings)
        middle = listings.height // 2
        return [
            _part(unit, name, rows)
            for name, rows in zip("ab", (listings[:middle], listings[middle:]), strict=True)
            if middle
        ]

    def give_up(self, unit: Unit, death: str) -> None:
        rejected = (
            pl.read_parquet(unit.listings)
            .select("feed", "listing_id", "input_hash", "fingerprint")
            .with_columns(
                code=pl.lit("tag_kills_worker"), error=pl.lit(f"worker processes died of this listing twice ({death})")
            )
        )
        write_parquet(unit.out, pl.concat([pl.DataFrame(schema=TAGGED), rejected], how="diagonal"))


def _part(unit: Unit, name: str, rows: pl.DataFrame) -> Unit:
    """A unit of some rows of `unit`, whose files have its names with `name` before the suffix."""

    def file(path: Path) -> Path:
        return path.with_name(f"{path.stem}{name}{path.suffix}")

    listings = write_parquet(file(unit.listings), rows)
    return Unit(listings, rows.height, file(unit.out), unit.known, unit.keep and file(unit.keep))


def tag_unit(unit: Unit, champion: Champion, threads: int) -> int:
    """Tags one unit in a Dask worker, writes its features and tags, and returns its number of listings."""
    listings = pl.read_parquet(unit.listings)
    if unit.known:
        with _loading:
            rules = _rules(champion)
        features = read_features(unit.known).with_columns(error=pl.lit(None, ENCODED["error"]))
        tagged = rules.tag(listings.join(features, on="input_hash", how="left", maintain_order="left"))
    else:
        with _loading:
            tagger = _tagger(champion, threads)
        encoded = tagger.encode(listings)
        if unit.keep:
            write_features(unit.keep, encoded)
        tagged = tagger.tag_encoded(encoded)
    write_parquet(unit.out, tagged)
    return tagged.height


# Loaded once in a process, and again after `cma certify`, because the key has the ids of the rules.
@lru_cache(maxsize=1)
def _tagger(champion: Champion, threads: int) -> "Tagger":
    from models.engines.machine import keep_freed_memory, use_threads
    from models.lifecycle.tagger import Tagger

    keep_freed_memory()
    use_threads(threads)
    return Tagger.load(champion.folder, engine=champion.engine, threads=threads)


@lru_cache(maxsize=1)
def _rules(champion: Champion) -> "TagRules":
    from models.engines.machine import keep_freed_memory, use_threads
    from models.lifecycle.model import Model

    keep_freed_memory()
    use_threads(1)  # there are as many workers as cores
    model = Model.open(champion.folder)
    return model.tag_rules(model.certificates(champion.engine))
