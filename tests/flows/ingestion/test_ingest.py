"""Ingests feeds with real files, Dask workers and DuckDB; unchanged rows and pictures cost no work."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from catalog_io.catalog.tag_tables import Rules
from catalog_io.pictures import units
from flows.ingestion import pictures as picture_step
from flows.ingestion.ingest import FeedsFailed, ingest
from flows.ingestion.pictures import PictureUnits
from flows.project.project import Project
from schemas.errors import UserError
from tests.flows.ingestion.shop import CONFIG, content, make_shop, outcome, picture, run, select, write_feed


def test_a_second_ingest_processes_and_changes_nothing(shop: Path) -> None:
    assert outcome(run(shop)) == (3, 0, 0, 3, 3)
    before = content(shop)
    assert outcome(run(shop)) == (0, 0, 3, 0, 0)
    assert content(shop) == before
    assert not (shop / "warehouse" / "ingest" / "shop").exists()


def test_the_project_folder_may_have_any_name(tmp_path: Path, shared_workers: None) -> None:
    folder = tmp_path / "it's [a] {shop}: 100%"
    folder.mkdir()
    make_shop(folder)
    assert outcome(run(folder)) == (3, 0, 0, 3, 3)
    assert outcome(run(folder)) == (0, 0, 3, 0, 0)


def test_a_picture_that_changed_is_shrunk_again_and_its_listings_with_it(shop: Path) -> None:
    run(shop)
    inputs = dict(select(shop, "select listing_id, input_hash from listings"))
    picture(shop / "a.jpg", 77)
    assert outcome(run(shop)) == (0, 2, 1, 1, 1)
    after = dict(select(shop, "select listing_id, input_hash from listings"))
    assert [key for key in "ABC" if inputs[key] != after[key]] == ["A"]  # of C it is the second picture
    os.utime(shop / "b.jpg")
    assert outcome(run(shop)) == (0, 0, 3, 1, 0)  # touched, but the same


def test_a_picture_that_vanished_is_kept_and_may_come_back(shop: Path) -> None:
    run(shop)
    good = content(shop)
    (shop / "b.jpg").rename(shop / "away.jpg")
    summary = run(shop)
    assert summary.picture_faults == {"picture_not_found": 1}
    assert dict(select(shop, "select listing_id, image_hash is not null from listings")) == dict.fromkeys("ABC", True)
    assert outcome(run(shop))[:3] == (0, 0, 3)
    (shop / "away.jpg").rename(shop / "b.jpg")
    assert run(shop).picture_faults == {}
    assert content(shop) == good


def test_a_listing_without_a_usable_picture_is_tagged_from_its_title(shop: Path) -> None:
    (shop / "b.jpg").write_bytes(b"<html>404</html>")
    summary = run(shop)
    assert (summary.accepted, summary.without_picture) == (3, 1)
    work = Project.open(shop / "cma.toml").catalog.untagged(Rules({}, ""))
    assert dict(work.select("listing_id", pl.col("image_hash").is_null()).iter_rows()) == {
        **{"A": False, "B": True, "C": False}
    }


def test_another_picture_size_shrinks_everything_again(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(shop)
    monkeypatch.setenv("CMA_INGEST__PICTURE_SIZE", "64")
    assert outcome(run(shop)) == (0, 3, 0, 3, 3)
    assert {min(size) for size in select(shop, """
        select width, height from images join listing_images using (image_hash)""")} == {64}  # fmt: skip
    assert outcome(run(shop)) == (0, 0, 3, 0, 0)


def test_embedded_pictures_are_worked_once(shop: Path) -> None:
    rows = [
        {"id": i, "title": "Dress", "image": (shop / f"{n}.jpg").read_bytes()}
        for i, n in zip("ABC", "aab", strict=True)
    ]
    (shop / "cma.toml").write_text(CONFIG.format(source="feed.parquet"), encoding="utf-8")
    pl.DataFrame(rows).with_columns(color=pl.lit("red")).write_parquet(shop / "feed.parquet")
    assert outcome(run(shop)) == (3, 0, 0, 2, 2)
    assert outcome(run(shop)) == (0, 0, 3, 0, 0)


def test_a_file_that_breaks_in_the_middle_changes_nothing(shop: Path) -> None:
    run(shop)
    before = content(shop)
    feed = (shop / "feed.csv").read_bytes()
    (shop / "cma.toml").write_text(CONFIG.format(source="feed.csv.gz"), encoding="utf-8")
    import gzip

    (shop / "feed.csv.gz").write_bytes(gzip.compress(feed * 1000)[:-50])
    with pytest.raises(UserError, match=r"feed\.csv\.gz"):
        run(shop)
    assert content(shop) == before


def test_a_broken_feed_does_not_stop_the_others(shop: Path) -> None:
    other = CONFIG.format(source="absent.csv").replace("feeds.shop", "feeds.a-broken-one")
    text = (shop / "cma.toml").read_text(encoding="utf-8")
    (shop / "cma.toml").write_text(other + text, encoding="utf-8")
    with pytest.raises(FeedsFailed, match=r"absent\.csv") as failed:
        ingest(Project.open(shop / "cma.toml"))
    assert [outcome(summary) for summary in failed.value.summaries] == [(3, 0, 0, 3, 3)]
    assert select(shop, "select count(*) from listings") == [(3,)]
    assert select(shop, "select state from runs") == [("failed",)]


def test_a_missing_picture_folder_stops_the_feed(shop: Path) -> None:
    run(shop)
    text = (shop / "cma.toml").read_text(encoding="utf-8")
    (shop / "cma.toml").write_text(text.replace('images = "."', 'images = "not-mounted"'), encoding="utf-8")
    with pytest.raises(UserError, match="not-mounted"):
        run(shop)
    assert dict(select(shop, "select listing_id, image_hash is not null from listings")) == dict.fromkeys("ABC", True)


@pytest.mark.parametrize(("workers", "unit_rows"), [(2, 256), (1, 1)])  # the last: innocents wait beside the culprit
def test_a_picture_that_kills_workers_is_given_up_and_the_rest_is_kept(
    shop: Path, monkeypatch: pytest.MonkeyPatch, workers: int, unit_rows: int
) -> None:
    class Fatal(PictureUnits):  # goes to the workers by value
        def run(self, unit: Path) -> int:
            import os
            import time

            import polars as pl

            if "b.jpg" in pl.read_parquet(unit)["uri"]:
                time.sleep(0.5)  # until others wait for the same worker
                os.kill(os.getpid(), 11)
            return super().run(unit)

    monkeypatch.setattr(picture_step, "PictureUnits", Fatal)
    monkeypatch.setattr(units, "UNIT_ROWS", unit_rows)
    monkeypatch.setenv("CMA_INGEST__DASK", "")
    monkeypatch.setenv("CMA_INGEST__WORKERS", str(workers))
    summary = run(shop)
    assert summary.picture_faults == {"picture_kills_worker": 1}
    sentence = "worker processes died of this picture repeatedly (SIGSEGV)"
    assert select(shop, "select distinct reason from listing_images where code is not null") == [(sentence,)]
    assert (summary.accepted, summary.without_picture, summary.pictures_new) == (3, 1, 2)


def test_a_killed_ingest_that_is_repeated_equals_an_uninterrupted_one(tmp_path: Path, shared_workers: None) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    rows = []
    for n in range(1200):
        if n < 600:
            picture(whole / f"{n}.jpg", n)
        rows.append({"id": f"L{n}", "title": "" if n % 50 == 0 else f"Dress {n}", "image": f"{n % 610}.jpg"})
    write_feed(whole, rows)
    (whole / "cma.toml").write_text(CONFIG.format(source="feed.csv"), encoding="utf-8")
    shutil.copytree(whole, killed)
    code = """
import pathlib, sys
from flows.ingestion.ingest import ingest
from flows.project.project import Project
ingest(Project.open(pathlib.Path(sys.argv[1])))
"""
    command = [sys.executable, "-c", code, str(killed / "cma.toml")]
    process = subprocess.Popen(command, start_new_session=True, env=os.environ | {"CMA_INGEST__DASK": ""})
    deadline = time.monotonic() + 120
    while not (done := list(killed.glob("warehouse/ingest/shop/units/*/*.done.parquet"))):
        assert process.poll() is None, "the ingest ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    written = {path: path.stat().st_mtime_ns for path in done}
    assert select(killed, "select count(*) from listings") == [(0,)]
    seen: list[dict[Path, int]] = []
    project = Project.open(killed / "cma.toml")
    new_images = project.catalog.new_images

    def spy(files: list[Path]) -> pl.DataFrame:
        seen.append({path: path.stat().st_mtime_ns for path in files if path in written})
        return new_images(files)

    project.catalog.new_images = spy  # type: ignore[method-assign]
    (summary,) = ingest(project)
    assert seen == [written]  # what was finished was not done again
    assert (summary.read, summary.rejected, summary.picture_faults) == (1200, 24, {"picture_not_found": 9})
    run(whole)
    assert content(killed) == content(whole)
