import os
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from catalog_io.catalog.catalog import Catalog
from catalog_io.catalog.compaction import GRACE_SECONDS, compact
from catalog_io.catalog.database import Database
from catalog_io.pictures.shards import PICTURES, PictureShards
from tests.catalog_io.staged import TAXONOMY

NIGHTS = 5


def night(catalog: Catalog, shards: PictureShards, number: int) -> None:
    rows = [(f"{number * 10 + i:064x}", b"jpeg %d" % (number * 10 + i), 256, 300, "0" * 16) for i in range(3)]
    index = shards.append([pl.DataFrame(rows, schema=PICTURES, orient="row")])
    sql = "insert into images select image_hash, width, height, bytes, perceptual_hash, shard from new"
    Database(catalog.home, 5).execute(sql, new=index)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    catalog = Catalog(tmp_path)
    catalog.create(TAXONOMY)
    for number in range(NIGHTS):
        night(catalog, PictureShards(tmp_path), number)
    return tmp_path


def stored(home: Path) -> dict[str, bytes]:
    """What every picture of the catalogue is in the shard that it is said to be in."""
    places = Database(home, 5).execute("select image_hash, shard from images")
    return PictureShards(home).read(dict(places.iter_rows()))


def test_small_shards_become_one_and_old_files_go_after_a_day(home: Path) -> None:
    catalog, shards = Catalog(home), PictureShards(home)
    before = stored(home)
    assert len(before) == 3 * NIGHTS
    assert compact(catalog, shards, fewest=NIGHTS + 1) == (0, 0, 0)
    assert compact(catalog, shards) == (NIGHTS, 1, 0)
    assert stored(home) == before
    assert len(os.listdir(shards.folder)) == NIGHTS + 1  # who reads the old ones may go on
    assert compact(catalog, shards) == (0, 0, 0)
    for path in shards.folder.iterdir():
        os.utime(path, (time.time() - 2 * GRACE_SECONDS,) * 2)
    assert compact(catalog, shards) == (0, 0, NIGHTS)
    assert stored(home) == before


def test_large_shards_are_not_merged(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog_io.catalog.compaction.SHARD_BYTES", 10)
    assert compact(Catalog(home), PictureShards(home)) == (0, 0, 0)


def test_a_killed_compaction_loses_and_doubles_nothing(home: Path) -> None:
    before = stored(home)
    code = """
import os, pathlib, sys
from catalog_io.catalog.catalog import Catalog
from catalog_io.catalog.compaction import compact
from catalog_io.pictures.shards import PictureShards
Catalog.move_pictures = lambda *_: os.kill(os.getpid(), 9)  # the merged shard is written, nothing names it
home = pathlib.Path(sys.argv[1])
compact(Catalog(home), PictureShards(home))
"""
    assert subprocess.run([sys.executable, "-c", code, str(home)], check=False).returncode == -9
    assert stored(home) == before
    assert compact(Catalog(home), PictureShards(home)) == (NIGHTS, 1, 0)
    assert stored(home) == before
