"""A listing that kills the workers that tag it is rejected, and the rest of the night is as any other."""

import csv
import os
import signal
from pathlib import Path

import pytest

from catalog_io.catalog.snapshot import query
from flows.nightly import NightFailed, nightly
from flows.project.project import Project
from flows.tagging import tag as tag_step
from flows.tagging.tag import tag
from flows.tagging.units import TagUnits, Unit
from tests.flows.tagging.labelled import set_label


def kill_on(monkeypatch: pytest.MonkeyPatch, listing: str, *, once: str = "") -> None:
    """From now on, workers die of this listing; of `once` only the first time, which is marked in a file."""

    class Fatal(TagUnits):  # goes to the workers by value
        def run(self, unit: Unit) -> int:
            import polars as pl

            found = pl.read_parquet(unit.listings, columns=["listing_id"])["listing_id"]
            mark = self.champion.folder / "killed-once"
            if listing in found or (once in found and not mark.exists()):
                mark.touch()
                os.kill(os.getpid(), signal.SIGSEGV)
            return super().run(unit)

    monkeypatch.setattr(tag_step, "TagUnits", Fatal)


def test_a_night_with_a_listing_that_kills_its_workers(project_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMA_TAG__DASK", "")
    monkeypatch.setenv("CMA_TAG__WORKERS", "1")
    monkeypatch.setenv("CMA_TAG__PARTITION_ROWS", "4")  # each death costs seconds: few halves
    project = Project.open(project_copy)
    feed = (project_copy.parent / "catalogue" / "listings.csv").read_text(encoding="utf-8")
    colors = {row["listing_id"]: row["color"] for row in csv.DictReader(feed.splitlines())}
    few = sorted(colors)[:60]  # those that a night with this limit tags
    killer = few[7]
    with monkeypatch.context() as patch:
        kill_on(patch, killer, once=few[30])
        with pytest.raises(NightFailed, match=r"1 of 60 listings killed") as failed:
            nightly(project, limit=60)
    assert f"sample {killer}: worker processes died of this listing twice (SIGSEGV)" in str(failed.value)
    night = failed.value.night
    assert (night.tags.selected, night.tags.tagged, night.tags.rejected) == (60, 59, 1)
    assert night.report.page.is_file()
    rejected = query(project.home, "select listing_id, codes from rejections where stage = 'tag'").rows()
    assert rejected == [(killer, ["tag_kills_worker"])]
    tagged = query(project.home, "select distinct listing_id from tags order by 1")["listing_id"].to_list()
    assert tagged == [listing for listing in few if listing != killer]
    assert project.catalog.runs().filter(flow="nightly")["state"].item() == "failed"

    tag(project, limit=1)  # it is not tried every night
    assert killer not in query(project.home, "select listing_id from tags")["listing_id"]
    set_label(project_copy, killer, color="Red" if colors[killer] != "Red" else "Blue")
    nightly(project, limit=1)  # it has changed, and comes first, since it has no tags
    assert killer in query(project.home, "select listing_id from tags")["listing_id"]
    assert query(project.home, "select count(*) from rejections where stage = 'tag'").item() == 0
