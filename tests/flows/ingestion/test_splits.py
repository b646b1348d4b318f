"""The split that a feed gives for each listing: it is stored, and training respects it."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import duckdb

from flows.modelling.labelled import labelled_listings
from flows.project.project import Project
from tests.flows.ingestion.ingested import run, select

SPLIT_FEED = """\
[feeds.shop]
source = "feed.csv"
columns = { listing_id = "id", title = "title", image = "image", split = "part" }
labels = { color = "color" }
"""


def split_shop(folder: Path, parts: Mapping[str, str]) -> Path:
    rows = "".join(f"{listing},Dress,,red,{part}\n" for listing, part in parts.items())
    (folder / "feed.csv").write_text(f"id,title,image,color,part\n{rows}", encoding="utf-8")
    (folder / "cma.toml").write_text(SPLIT_FEED, encoding="utf-8")
    return folder


def test_a_feed_may_say_which_split_a_listing_belongs_to(tmp_path: Path) -> None:
    words = {
        "A": "train",
        "B": " TEST ",
        "C": "Dev",
        "D": "val",
        "E": "valid",
        "F": "calibration",
        "G": "",
        "H": "holdout",
    }
    summary = run(split_shop(tmp_path, words))
    assert summary.reasons == {"split_unknown": 1}
    stored = dict(select(tmp_path, "select listing_id, split from listings"))
    validation = dict.fromkeys(("C", "D", "E"), "validation")
    assert stored == {"A": "train", "B": "test", **validation, "F": "calibration", "G": None}
    ((raw, reason),) = select(tmp_path, "select raw, reason from rejections")
    assert json.loads(raw)["part"] == "holdout"
    assert reason == "the listing's split is none of train, validation, calibration, test, val, valid, dev"


def test_a_listing_that_changes_its_split_is_updated_and_keeps_its_input(tmp_path: Path) -> None:
    run(split_shop(tmp_path, {"A": "train", "B": "test"}))
    before = select(tmp_path, "select listing_id, input_hash from listings order by 1")
    summary = run(split_shop(tmp_path, {"A": "test", "B": "test"}))
    assert (summary.updated, summary.unchanged) == (1, 1)
    assert select(tmp_path, "select split from listings where listing_id = 'A'") == [("test",)]
    assert select(tmp_path, "select listing_id, input_hash from listings order by 1") == before


def test_a_feed_without_splits_is_stored_as_before(tmp_path: Path) -> None:
    """A listing that gives none has the row hash that it had before there were splits, so nothing is stored anew."""
    split_shop(tmp_path, {"A": ""})
    run(tmp_path)
    with_column = select(tmp_path, "select split, row_hash from listings")
    (tmp_path / "cma.toml").write_text(SPLIT_FEED.replace(', split = "part"', ""), encoding="utf-8")
    assert run(tmp_path).unchanged == 1
    assert select(tmp_path, "select split, row_hash from listings") == with_column
    assert with_column[0][0] is None


def test_training_learns_from_the_published_training_listings_only(tmp_path: Path) -> None:
    parts = {f"T{n}": "train" for n in range(300)} | {f"E{n}": "test" for n in range(50)}
    split_shop(tmp_path, parts)
    run(tmp_path)
    project = Project.open(tmp_path / "cma.toml")
    counts = Counter(labelled_listings(project).splits.tolist())
    assert counts["test"] == 50
    assert counts["train"] + counts["validation"] + counts["calibration"] == 300
    assert min(counts["validation"], counts["calibration"]) > 15
    assert len(labelled_listings(project, ("test",)).titles) == 50


def test_a_catalogue_of_before_splits_is_brought_up_to_date(tmp_path: Path) -> None:
    split_shop(tmp_path, {"A": "train", "B": "test"})
    run(tmp_path)
    with duckdb.connect(str(tmp_path / "warehouse" / "work.duckdb")) as connection:
        connection.execute("alter table listings drop column split")
    assert Project.open(tmp_path / "cma.toml").catalog.listings()["split"].to_list() == [None, None]
    (tmp_path / "feed.csv").write_text("id,title,image,color,part\nA,New,,red,train\nB,Dress,,red,test\n")
    run(tmp_path)
    assert select(tmp_path, "select split from listings where listing_id = 'A'") == [("train",)]
