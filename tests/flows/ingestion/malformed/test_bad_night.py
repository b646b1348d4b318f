"""A nightly run over a malformed feed tags every listing that it can."""

import sys
from pathlib import Path

import pytest

from catalog_io.catalog.snapshot import query
from flows import deployments
from flows.cli.commands import main
from flows.project.project import Project
from tests.catalog_io.feeds.malformed.pictures import BYTES, lay_out
from tests.flows.ingestion.malformed.bad_feed_project import feed_section


def test_a_night_with_a_bad_feed(
    project_copy: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = project_copy.parent / "bad"
    lay_out(folder)
    good = [f"GOOD-{n},A good red dress {n},good.jpg" for n in range(3)]
    title_only = {f"pic-{name}": name for name in BYTES} | {
        "absent": "absent.jpg",
        "outside": "../secret.jpg",
        "no-picture": "",
    }
    bad = [",No id,good.jpg", "no-title,  ,good.jpg", "GOOD-0,The same id again,good.jpg", "ragged,Two cells"]
    rows = [*good, *(f"{name},A blue shirt with {name},{image}" for name, image in title_only.items()), *bad]
    (folder / "listings.csv").write_bytes(
        "\n".join(["id,title,image", *rows, ""]).encode() + b"latin,R\xf6d,good.jpg\n"
    )
    with project_copy.open("a", encoding="utf-8") as file:
        file.write("\n" + feed_section("bad", {"source": "bad/listings.csv", "images": "bad"}))
    monkeypatch.setattr(deployments, "nightly", deployments.nightly.fn)  # without a Prefect server
    monkeypatch.setattr(sys, "argv", ["cma", "nightly", "--config", str(project_copy)])
    with pytest.raises(SystemExit) as ended:
        main()
    said, errors = capfd.readouterr()
    assert ended.value.code == 0, errors
    assert "Traceback" not in said + errors
    listed, rejected = len(good) + len(title_only), len(bad) + 1
    assert (
        f"feed bad  {listed + rejected} rows read = {listed} accepted ({listed} new, 0 changed, 0 unchanged) + "
        f"{rejected} rejected" in " ".join(said.split("\n"))
    )
    assert f"{len(title_only)} listings have no usable picture" in said
    home = Project.open(project_copy).home
    assert query(home, "select 1 from rejections where feed = 'bad'").height == rejected
    tagged = query(home, "select listing_id, count(*) as n from tags where feed = 'bad' group by all")
    assert dict(tagged.iter_rows()) == dict.fromkeys([*title_only, "GOOD-0", "GOOD-1", "GOOD-2"], 3)
    noisy = query(home, "select listing_id from noisy_listings where feed = 'bad' and kind = 'unusable_picture'")
    assert sorted(noisy["listing_id"]) == sorted(set(title_only) - {"no-picture"})
