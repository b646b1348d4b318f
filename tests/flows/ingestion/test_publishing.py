"""An ingest publishes the snapshot, so that analysts can ask about its rows before any model exists."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from catalog_io.catalog.snapshot import query
from flows.ingestion.ingest import FeedsFailed, ingest
from flows.nightly import nightly
from flows.project.project import Project
from schemas.errors import UserError

REJECTED = "select feed, listing_id from rejections order by all"


@pytest.fixture
def project(tmp_path: Path, shared_workers: None) -> Project:
    (tmp_path / "a.csv").write_text("id,title,image\n1,Red dress,\n2,,\n", encoding="utf-8")
    config = tmp_path / "cma.toml"
    config.write_text(
        '[feeds.a]\nsource = "a.csv"\ncolumns = { listing_id = "id", title = "title", image = "image" }\n'
        '[feeds.b]\nsource = "b.csv"\ncolumns = { listing_id = "id", title = "title", image = "image" }\n',
        encoding="utf-8",
    )
    return Project.open(config)


def test_the_commands_ingest_and_sql_need_no_model(project: Project) -> None:
    (project.config.parent / "b.csv").write_text("id,title,image\n,Blue hat,\n", encoding="utf-8")

    def cma(*arguments: str) -> str:
        command = [sys.executable, "-m", "flows.cli", *arguments]
        done = subprocess.run(
            command, cwd=project.config.parent, env=os.environ, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    cma("ingest")
    shown = cma("sql", "from rejections select feed, listing_id order by feed", "--format", "csv")
    assert shown.splitlines()[1:] == ["a,2", 'b,""']
    assert query(project.home, "select codes[1] from rejections where listing_id = '2'").item() == "title_missing"
    runs = "select flow, state, finished_at is not null from runs"
    assert query(project.home, runs).rows() == [("ingest-catalog", "completed", True)]


def test_the_feeds_that_could_be_read_are_published(project: Project) -> None:
    with pytest.raises(FeedsFailed, match=r"b\.csv"):
        ingest(project)
    assert query(project.home, REJECTED).rows() == [("a", "2")]
    (project.config.parent / "a.csv").unlink()
    before = query(project.home, "from runs").height
    with pytest.raises(FeedsFailed):
        ingest(project)
    assert query(project.home, "from runs").height == before  # nothing was stored, and nothing is copied


def test_a_night_without_a_model_publishes_what_it_ingested(project: Project) -> None:
    (project.config.parent / "b.csv").write_text("id,title,image\n3,Blue hat,\n", encoding="utf-8")
    with pytest.raises(UserError, match="cma train"):
        nightly(project)
    assert query(project.home, REJECTED).rows() == [("a", "2")]
    assert query(project.home, "select listing_id from tagged_listings order by 1").rows() == [("1",), ("3",)]
