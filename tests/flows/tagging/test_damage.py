"""Damaged files do not stop a night: what is made from others is made again, and a shard costs its own pictures."""

from pathlib import Path

import polars as pl

from catalog_io.catalog.snapshot import query
from flows.ingestion.ingest import ingest
from flows.nightly import nightly
from flows.project.project import Project
from flows.tagging.tag import tag
from tests.flows.tagging.labelled import flag_conflicts

TAGS = "select listing_id, attribute, value, confidence, accepted from tags order by all"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_damaged_shard_costs_its_own_pictures_until_the_next_ingest(project_copy: Path, tagged: Path) -> None:
    project = Project.open(project_copy)
    shards = sorted((project.home / "pictures").glob("*.parquet"))
    half = pl.read_parquet(shards[0])
    lost, kept = half[: half.height // 2], half[half.height // 2 :]
    for name, rows in (("shard-lost.parquet", lost), ("shard-kept.parquet", kept)):
        rows.write_parquet(project.home / "pictures" / name)
        places = rows.select("image_hash", shard=pl.lit(name))
        project.catalog.move_pictures(places, [shards[0].name])
    cut(project.home / "pictures" / "shard-lost.parquet")

    every = project.catalog.counts()["listings"]
    summary = tag(project)
    assert 0 < summary.selected == summary.tagged < every
    assert project.catalog.runs()["state"][0] == "completed"
    (feed,) = ingest(project)
    assert feed.pictures_new == lost.height
    assert feed.unchanged == every  # a picture that is fetched again is the same
    night = nightly(project)
    assert night.tags.tagged == every - summary.tagged
    expected = query(Project.open(tagged).home, TAGS)
    found = query(project.home, TAGS)
    assert found.select("listing_id", "attribute").equals(expected.select("listing_id", "attribute"))
    assert (found["value"] == expected["value"]).mean() > 0.98  # bf16 depends on the batch in its last bits


def test_what_is_made_from_other_files_is_made_again(project_copy: Path) -> None:
    project = Project.open(project_copy)
    every = tag(project).tagged
    before = query(project.home, TAGS)
    model = project.model()
    (model.folder / "engines" / "encoder.onnx").write_bytes(b"damaged")
    cut(next((project.home / "features").glob("*/*.parquet")))
    flag_conflicts(project, 0.0)  # other rules: everything is tagged again, from features where there are some
    summary = tag(project)
    assert (summary.engine, summary.tagged) == ("openvino", every)
    assert 0 < summary.from_features < every
    found = query(project.home, TAGS)
    assert (found["value"] == before["value"]).mean() > 0.98
