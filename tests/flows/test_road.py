"""The main job end to end, with every real component: feed → catalogue → model → engine → tags → SQL."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from catalog_io.catalog.snapshot import query
from flows.ingestion.ingest import ingest
from flows.modelling.evaluate import evaluate_model
from flows.modelling.train import train
from flows.nightly import nightly
from flows.project.project import ConservationError, Project, conserve
from flows.tagging.tag import tag
from models.lifecycle.model import Model
from schemas.errors import ConfigurationError, UserError

EXTRA_LISTING = "EXTRA,EXTRA,Plain Red Maxi Dress,images/{image},Red,Solid,Maxi\n"


def truth(config: Path) -> pl.DataFrame:
    return pl.read_csv(config.parent / "catalogue" / "ground_truth.csv", infer_schema=False)


def test_every_row_is_accepted_and_broken_pictures_are_known(trained: Path) -> None:
    project = Project.open(trained)
    planted = truth(trained)
    broken = planted.filter(pl.col("fault") == "broken_file")["listing_id"].to_list()
    (again,) = ingest(project)
    assert again.read == planted.height
    assert again.accepted == again.unchanged == planted.height
    assert again.without_picture == len(broken) == sum(again.picture_faults.values())


def test_all_accepted_listings_are_tagged_once_and_published(tagged: Path) -> None:
    project = Project.open(tagged)
    accepted = project.catalog.counts()["listings"]
    tags = query(project.home, "select * from tags")
    assert tags.height == accepted * len(project.taxonomy.names)
    assert tags.select("feed", "listing_id", "attribute").is_duplicated().sum() == 0
    assert tags["confidence"].is_between(0, 1).all()
    assert tags["image_weight"].is_between(0, 1).all()
    assert tags["engine"].unique().to_list() == ["openvino"]
    for attribute in project.taxonomy.attributes:
        values = tags.filter(pl.col("attribute") == attribute.name)["value"].unique()
        assert set(values) <= set(attribute.value_names)
    view = query(project.home, "select * from tagged_listings")
    assert view.columns == ["feed", "listing_id", "product_id", "title", *project.taxonomy.names]
    assert view.height == accepted


def test_the_engine_passed_its_gate_on_real_listings(trained: Path) -> None:
    project = Project.open(trained)
    champion = project.catalog.champion()
    assert champion is not None
    folder = project.home / champion.path
    built = Model.open(folder).engine_card("openvino")
    assert built is not None
    assert built.gate.passed
    assert built.gate.listings > 50
    assert built.weights == Model.open(folder).card.weights
    stages = {stage.name for stage in Model.open(folder).card.preset.stages if stage.epochs}
    assert {path.stem for path in folder.glob("*.safetensors")} == {"model", *stages}  # nothing half done is left


def test_evaluation_repeats_what_compilation_measured(trained: Path) -> None:
    project = Project.open(trained)
    built = project.model().engine_card("openvino")
    assert built is not None
    result = evaluate_model(project)
    for name, values in built.metrics.items():
        overall = result.results.attributes[name].overall
        assert overall.metrics["accuracy"].value == pytest.approx(values["accuracy"], abs=0.02)
        assert overall.labelled == values["labelled"]


def test_a_second_night_with_nothing_changed_tags_nothing(tagged: Path, tmp_path: Path, shared_workers: None) -> None:
    shutil.copytree(tagged.parent, tmp_path / "project")
    project = Project.open(tmp_path / "project" / "cma.toml")
    before = query(project.home, "select * from tags order by all")
    night = nightly(project)
    assert night.tags.selected == 0
    assert [feed.unchanged for feed in night.feeds] == [feed.accepted for feed in night.feeds]
    assert query(project.home, "select * from tags order by all").equals(before)


def test_only_what_changed_is_tagged_again(tagged: Path, tmp_path: Path, shared_workers: None) -> None:
    shutil.copytree(tagged.parent, tmp_path / "project")
    project = Project.open(tmp_path / "project" / "cma.toml")
    catalogue = tmp_path / "project" / "catalogue"
    feed = catalogue / "listings.csv"
    rows = list(csv.DictReader(feed.read_text(encoding="utf-8").splitlines()))
    good = {row["listing_id"] for row in query(project.home, "select listing_id from listings").to_dicts()}
    changed = [row for row in rows if row["listing_id"] in good][:2]
    changed[0]["title"] = "Quite Another Title"
    changed[1]["color"] = "Red" if changed[1]["color"] != "Red" else "Blue"
    shutil.copy(catalogue / changed[0]["image"], catalogue / "images" / "extra.jpg")
    with feed.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    with feed.open("a", encoding="utf-8") as file:
        file.write(EXTRA_LISTING.format(image="extra.jpg"))
    night = nightly(project)
    assert (night.feeds[0].inserted, night.feeds[0].updated) == (1, 2)
    assert night.tags.selected == night.tags.tagged == 3
    assert night.tags.from_features == 1  # the new label, which is no input of the model


def test_a_killed_run_resumes_where_it_was(project_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CMA_TAG__DASK")  # a cluster of the run's own, which is killed with it
    project = Project.open(project_copy)
    command = [
        sys.executable,
        "-c",
        "import flows.cli.commands; flows.cli.commands.main()",
        "tag",
        "--config",
        str(project_copy),
    ]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while not (finished := list(project.home.glob("partitions/*/out/part-*.parquet"))):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in finished}
    assert "tags" not in project.catalog.counts() or project.catalog.counts()["tags"] == 0
    summary = tag(project)
    listings = project.catalog.counts()["listings"]
    assert summary.selected == summary.tagged == listings
    assert project.catalog.counts()["tags"] == listings * len(project.taxonomy.names)
    assert kept
    assert not list(project.home.glob("partitions/*/"))


def test_training_needs_labels(project_copy: Path) -> None:
    text = project_copy.read_text(encoding="utf-8")
    project_copy.write_text(text.replace('labels = { color = "color", pattern = "pattern", style = "style" }', ""))
    shutil.rmtree(project_copy.parent / "warehouse")
    project = Project.open(project_copy)
    ingest(project)
    with pytest.raises(UserError, match=r"no listing has a label.*labels"):
        train(project)
    assert project.catalog.champion() is None


def test_a_model_larger_than_the_stored_pictures_names_the_setting(
    project_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CMA_INGEST__PICTURE_SIZE", "64")
    with pytest.raises(ConfigurationError, match=r"ingest.picture_size is 64"):
        train(Project.open(project_copy))


def test_conservation_is_exact() -> None:
    conserve("rows read", 3, {"accepted": 2, "rejected": 1})
    with pytest.raises(ConservationError, match=r"3 rows read, but 2 accepted \+ 0 rejected = 2"):
        conserve("rows read", 3, {"accepted": 2, "rejected": 0})
