import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from catalog_io import partitions
from catalog_io.partitions import write_partitions
from catalog_io.pictures import shards as picture_shards
from catalog_io.pictures.shards import PICTURES, PictureShards
from schemas.errors import UserError
from schemas.files import replacing, write_parquet
from schemas.frames import work_schema


def pictures(*numbers: int) -> pl.DataFrame:
    rows = [(f"{n:064x}", b"jpeg %d" % n, 256, 300, "0" * 16) for n in numbers]
    return pl.DataFrame(rows, schema=PICTURES, orient="row")


def append(shards: PictureShards, *numbers: int) -> dict[str, str]:
    return dict(shards.append([pictures(*numbers)]).select("image_hash", "shard").iter_rows())


def listings(shards: PictureShards, n: int) -> pl.DataFrame:
    shard_of = append(shards, *range(n // 2)) | append(shards, *range(n // 2, n))
    rows = [
        {
            "feed": "hm",
            "listing_id": f"{i}",
            "product_id": "p",
            "title": "x" * (i * 7 % 11),
            "image_hash": f"{i:064x}",
            "shard": shard_of[f"{i:064x}"],
            "input_hash": f"in{i}",
            "fingerprint": f"fp{i}",
            "label_color": "red" if i % 2 else None,
        }
        for i in range(n)
    ]
    textless = {
        "feed": "hm",
        "listing_id": "none",
        "title": "no picture",
        "input_hash": "in",
        "fingerprint": "fp",
        "product_id": "p",
    }
    return pl.DataFrame([*rows, textless])


@pytest.mark.parametrize("pool_rows", [4, 4096])
def test_every_listing_is_in_one_partition_with_its_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool_rows: int
) -> None:
    monkeypatch.setattr(partitions, "POOL_ROWS", pool_rows)
    shards, done = PictureShards(tmp_path), []
    frame = listings(shards, 10)
    paths = write_partitions(frame, shards, tmp_path / "work", rows_per_partition=4, progress=done.append)
    assert [path.name for path in paths] == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    parts = [pl.read_parquet(path) for path in paths]
    assert done == [4, 4, 3] == [part.height for part in parts]
    assert all(part.schema == work_schema(("color",)) for part in parts)
    assert all(part["title"].str.len_chars().is_sorted() for part in parts)
    got = {row["listing_id"]: row for part in parts for row in part.iter_rows(named=True)}
    assert len(got) == 11 and got["none"]["picture"] is None
    assert all(got[str(i)]["picture"] == b"jpeg %d" % i for i in range(10))
    assert got["3"]["label_color"] == "red"


def test_the_same_listings_make_the_same_partitions(tmp_path: Path) -> None:
    shards = PictureShards(tmp_path)
    frame = listings(shards, 10)
    first = write_partitions(frame, shards, tmp_path / "1", rows_per_partition=4)
    second = write_partitions(
        frame.sample(fraction=1, shuffle=True, seed=1), shards, tmp_path / "2", rows_per_partition=4
    )
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_no_listings_make_no_partitions(tmp_path: Path) -> None:
    shards = PictureShards(tmp_path)
    assert write_partitions(listings(shards, 2).clear(), shards, tmp_path / "work") == []


def test_shards_have_a_sensible_size_and_are_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_shards, "SHARD_BYTES", 18)  # three pictures
    monkeypatch.setattr(picture_shards, "ROW_GROUP_ROWS", 1)
    shards = PictureShards(tmp_path)
    index = shards.append([pictures(3, 1), pictures(), pictures(2, 4)])
    assert index.columns == ["image_hash", "width", "height", "perceptual_hash", "bytes", "shard"]
    assert sorted(index["shard"].value_counts()["count"]) == [1, 3]
    assert index["bytes"].to_list() == [6] * 4
    assert len(list((tmp_path / "pictures").iterdir())) == 2
    shard_of = dict(index.select("image_hash", "shard").iter_rows())
    assert shards.read(shard_of) == {f"{n:064x}": b"jpeg %d" % n for n in (1, 2, 3, 4)}
    assert shards.read({}) == {}


def test_no_pictures_make_no_shard(tmp_path: Path) -> None:
    assert PictureShards(tmp_path).append([pictures()]).height == 0
    assert not (tmp_path / "pictures").exists()


def test_a_lost_shard_is_named(tmp_path: Path) -> None:
    shards = PictureShards(tmp_path)
    shard_of = append(shards, 1)
    (tmp_path / "pictures" / shard_of[f"{1:064x}"]).unlink()
    with pytest.raises(UserError, match=r"shard-.*lost.*cma ingest"):
        shards.read(shard_of)


def test_an_error_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "new folder" / "a.parquet", pl.DataFrame({"a": [1]}))
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert pl.read_parquet(path)["a"].to_list() == [1]
    assert os.listdir(path.parent) == ["a.parquet"]


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", pl.DataFrame({"a": [1]}))
    code = """
import os, pathlib, sys
from schemas.files import replacing
with replacing(pathlib.Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b"half")
    os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    assert pl.read_parquet(path)["a"].to_list() == [1]
    assert [p.name for p in tmp_path.glob("*.parquet")] == ["a.parquet"]


def test_data_and_folder_reach_the_disk_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("sync"), fsync(fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), replace(a, b))[1])
    write_parquet(tmp_path / "a.parquet", pl.DataFrame({"a": [1]}))
    assert calls == ["sync", "replace", "sync"]
