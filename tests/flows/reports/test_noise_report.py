"""The noisy-listing report: complete, self-contained, and safe to open."""

import shutil
import subprocess
from pathlib import Path

import polars as pl
import pytest

from catalog_io.catalog.snapshot import query
from catalog_io.catalog.tag_tables import Rules
from flows.project.project import Project
from flows.reports.noise_report import report
from schemas.frames import TAGGED

CHROMIUM = shutil.which("chromium")


@pytest.fixture
def page(project_copy: Path) -> Path:
    """A report with one flag of each kind, on listings whose titles try to be markup."""
    project = Project.open(project_copy)
    listings = project.catalog.listings().head(3)
    kinds = [("mismatch", None), ("modality_conflict", "color"), ("label_conflict", "style")]
    rows = [
        {
            "feed": row["feed"],
            "listing_id": row["listing_id"],
            "input_hash": row["input_hash"],
            "fingerprint": row["fingerprint"],
            "code": None,
            "error": None,
            "tags": [],
            "flags": [{"kind": kind, "attribute": attribute, "score": 0.9, "detail": "<img src=x onerror=alert(1)>"}],
        }
        for row, (kind, attribute) in zip(listings.iter_rows(named=True), kinds, strict=True)
    ]
    part = project_copy.parent / "part.parquet"
    pl.DataFrame(rows, schema=TAGGED).write_parquet(part)
    from datetime import UTC, datetime

    by = {"model_version": "m", "engine": "torch", "rules": Rules({}, "r"), "run_id": "r"}
    project.catalog.store_tagged([part], **by, tagged_at=datetime.now(UTC))
    project.catalog.publish()
    return report(project).page


def test_the_page_is_self_contained_and_escaped(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    assert "<img src=x" not in html
    assert "&lt;img src=x" in html
    assert html.count("data:image/jpeg;base64,") == 3
    assert "http://" not in html
    assert "https://" not in html
    assert "<script" not in html
    table = pl.read_csv(page.with_suffix(".csv"))
    flags = table.filter(pl.col("kind") != "unusable_picture")
    assert flags["kind"].to_list() == ["label_conflict", "mismatch", "modality_conflict"]
    broken = query(page.parents[1], "select count(*) as n from unusable_pictures")["n"][0]
    assert table.height - flags.height == broken > 0  # planted in the sample


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_shows_the_pictures(page: Path, tmp_path: Path) -> None:
    assert CHROMIUM
    shot = tmp_path / "page.png"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    size = ["--window-size=1200,1600", f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={shot}"]
    subprocess.run([CHROMIUM, *options, *size, page.as_uri()], check=True, timeout=120, capture_output=True)
    from PIL import Image

    with Image.open(shot) as image:
        assert image.size == (1200, 1600)
        assert len(image.convert("RGB").getcolors(maxcolors=10**7) or []) > 2000  # photographs, not text alone
