"""A feed that the model never learned from: no promise, then labels, then a certificate of its own, then drift."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from catalog_io.catalog.snapshot import query
from catalog_io.sample.catalogue import make_sample
from flows.ingestion.ingest import ingest
from flows.modelling.certify import certify
from flows.modelling.labelled import held_out, labelled_listings, listings_with_splits
from flows.project.project import Project
from flows.tagging.tag import tag
from models.inputs.splits import splits_of
from models.rules.certificates import Calibration, Certificates, Promise
from schemas.errors import ConfigurationError, UserError

LISTINGS = 400
ANOTHER_FEED = """\

[feeds.other]
source = "other/listings.csv"
images = "other"
columns = { listing_id = "listing_id", title = "title", image = "image", product_id = "product_id" }
"""
LABELS = 'labels = { color = "color", pattern = "pattern", style = "style" }\n'


@pytest.fixture(scope="module")
def with_another_feed(trained: Path, tmp_path_factory: pytest.TempPathFactory, picture_workers: str) -> Path:
    """The trained project, its own feed certified at every confidence, with another feed that has no labels yet."""
    folder = tmp_path_factory.mktemp("certify") / "project"
    shutil.copytree(trained.parent, folder)
    make_sample(folder / "other", listings=LISTINGS, seed=11)
    config = folder / "cma.toml"
    config.write_text(config.read_text(encoding="utf-8") + ANOTHER_FEED, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMA_INGEST__DASK", picture_workers)
        project = Project.open(config)
    ingest(project, ["other"])
    store(project, lambda calibration: accepting(calibration, 0.0), "sample")
    return folder


@pytest.fixture
def project(with_another_feed: Path, tmp_path: Path, shared_workers: None) -> Project:
    """A copy of it for one test."""
    shutil.copytree(with_another_feed, tmp_path / "project")
    return Project.open(tmp_path / "project" / "cma.toml")


def with_labels(project: Project) -> Project:
    project.config.write_text(project.config.read_text(encoding="utf-8") + LABELS, encoding="utf-8")
    project = Project.open(project.config)
    ingest(project, ["other"])
    return project


def accepting(calibration: Calibration, threshold: float) -> Calibration:
    return replace(calibration, thresholds=[threshold] * len(calibration.thresholds))


def certificates(project: Project) -> Certificates:
    return project.model().certificates("openvino")


def store(project: Project, change: Callable[[Calibration], Calibration], feed: str) -> None:
    """Writes the certificates of the engine with those of one feed, and of all together, changed."""
    made = certificates(project)
    own = {name: change(calibration) for name, calibration in made.feeds[feed].items()}
    pooled = {name: change(calibration) for name, calibration in made.pooled.items()}
    changed = replace(made, pooled=pooled, feeds={**made.feeds, feed: own})
    project.model().store_certificates("openvino", changed)


def counts(project: Project, column: str) -> dict[str, int]:
    return dict(
        query(project.home, f"select feed, count(*) filter (where {column}) from tags group by feed").iter_rows()
    )


def test_a_promise_belongs_to_the_feed_that_it_was_made_on(project: Project) -> None:
    attributes = len(project.taxonomy.names)
    first = tag(project)
    assert first.uncertified == {"other": list(project.taxonomy.names)}
    assert counts(project, "accepted") == counts(project, "certified") == {"other": 0, "sample": 800 * attributes}
    assert counts(project, "provisional") == {"other": LISTINGS * attributes, "sample": 0}
    assert first.provisional_tags == query(project.home, "from provisional_tags").height == LISTINGS * attributes
    assert query(project.home, "select count(color) from tagged_listings where feed = 'other'").item() == 0

    with pytest.raises(UserError, match="no labelled listing of other belongs to the validation split"):
        certify(project, ["other"])
    project = with_labels(project)
    before, built = certificates(project), project.model().engine_card("openvino")
    done = certify(project, ["other"])
    assert built is not None and done.feeds == ["other"] and done.engine == str(built.identity)
    made = certificates(project)
    assert made == done.certificates and made.pooled == before.pooled and made.feeds["sample"] == before.feeds["sample"]
    thresholds_from = held_out(project, project.model(), "calibration", ["other"]).labels
    found = [calibration.certificate.listings for calibration in made.feeds["other"].values()]
    assert found == (thresholds_from >= 0).sum(axis=0).tolist()

    again = tag(project)
    assert again.selected == LISTINGS  # the other feed's certificates are as they were
    ids = dict(query(project.home, "select distinct feed, certificate from tags").iter_rows())
    assert ids == {feed: made.id(feed) for feed in ("other", "sample")}
    assert counts(project, "provisional") == {"other": 0, "sample": 0}  # measured now
    certify(project, ["other"])
    assert tag(project).selected == 0  # the same labels make the same certificates


def test_a_feed_that_drifts_away_is_named(project: Project) -> None:
    project = with_labels(project)
    certify(project, ["other"])
    store(project, lambda calibration: accepting(calibration, 0.5), "other")
    calm = [found for found in tag(project).drift if found.feed == "other"]
    assert [found.attribute for found in calm] == list(project.taxonomy.names)
    products = query(project.home, "select count(distinct product_id) from listings where feed = 'other'").item()
    assert all(found.listings == products and not found.drifted for found in calm)

    def surer(calibration: Calibration) -> Calibration:
        return replace(accepting(calibration, 0.4), confidences=[0.999] * 200)

    store(project, surer, "other")
    alarmed = [found for found in tag(project).drift if found.feed == "other"]
    assert len(alarmed) == 3 and all(found.drifted and found.statistic > 0.5 for found in alarmed)
    kept = query(
        project.home, "select drifted, count(*) from drift where feed = 'other' group by all order by all"
    ).rows()
    assert kept == [(False, 3), (True, 3)]


def test_listings_without_labels_are_compared_too(project: Project) -> None:
    """A tenth of the listings has no label, so the reference is of all calibration listings."""
    project = with_labels(project)
    certify(project, ["other"])
    model = project.model()
    of_split = listings_with_splits(project, model).filter(feed="other", split="calibration")
    for name, found in certificates(project).feeds["other"].items():
        labelled = of_split[f"label_{name}"].count()
        assert labelled < 0.95 * of_split.height
        assert (found.certificate.listings, found.compared) == (labelled, of_split["product_id"].n_unique())
    kept = certificates(project)
    certify(project, ["other"])
    assert certificates(project) == kept


def test_all_labels_of_an_unseen_feed_but_its_test_split_certify_it(project: Project) -> None:
    project = with_labels(project)
    model = project.model()
    assert model.card.feeds == ["sample"]
    whole = labelled_listings(project, feeds=["other"])
    parts = {
        name: labelled_listings(project, (name,), model=model, feeds=["other"])
        for name in ("validation", "calibration")
    }
    products = [set(part.products.tolist()) for part in parts.values()]
    assert not products[0] & products[1]
    seen = [product.removeprefix("other/") for product in whole.products.tolist()]
    outside_test = splits_of(["other"] * len(seen), seen) != "test"
    assert products[0] | products[1] == set(whole.products[outside_test].tolist())
    assert sum(len(part.titles) for part in parts.values()) == np.count_nonzero(outside_test)
    learned = labelled_listings(project, ("calibration",), model=model, feeds=["sample"])
    assert learned.titles == labelled_listings(project, ("calibration",), feeds=["sample"]).titles


def test_another_promise_is_made_to_all_feeds_at_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project = with_labels(project)
    monkeypatch.setenv("CMA_TAG__CERTIFY", "value")
    project = Project.open(project.config)
    with pytest.raises(ConfigurationError, match="without naming feeds"):
        certify(project, ["other"])
    done = certify(project)
    assert sorted(done.feeds) == ["other", "sample"] and done.certificates.promise == Promise(by="value")
