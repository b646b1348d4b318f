"""Drift of certified feeds: compares the newest confidences with those of the time when the feed was certified."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl

from flows.project.project import Project
from models.inputs.splits import splits_of
from models.lifecycle.model import Model
from models.rules.certificates import Certificates
from models.rules.drift import FEWEST, compare_scores


@dataclass(frozen=True)
class FeedDrift:
    """The drift of one attribute's confidences on a feed's newest listings; see `models.rules.drift.Drift`."""

    feed: str
    attribute: str
    listings: int
    statistic: float
    p_value: float
    drifted: bool


def watch(
    project: Project, model: Model, certificates: Certificates, feeds: Sequence[str], *, engine: str, run_id: str
) -> list[FeedDrift]:
    """Measures the drift of these feeds on the listings that the run tagged, or on the newest FEWEST where it tagged
    fewer, and stores it in the catalogue."""
    found = [drift for feed in feeds for drift in _drift_of(project, model, certificates, feed, engine, run_id)]
    if found:
        rows = pl.DataFrame([asdict(drift) for drift in found])
        keys = {"model_version": model.version, "engine": engine, "run_id": run_id}
        project.catalog.store_drift(rows.with_columns(**{name: pl.lit(value) for name, value in keys.items()}))
    return found


def _drift_of(
    project: Project, model: Model, certificates: Certificates, feed: str, engine: str, run_id: str
) -> Iterator[FeedDrift]:
    newest = project.catalog.newest_confidences(
        feed, model_version=model.version, engine=engine, certificate=certificates.id(feed)
    )
    if feed in model.card.feeds:
        # The model is more confident on listings that it has learned from. Without their labelled ones, the splits that
        # it learned from would have too many listings without labels, so they are left out whole.
        splits = splits_of([feed] * newest.height, newest["product_id"].to_list(), newest["split"].to_list())
        newest = newest.filter(np.isin(splits, ("calibration", "test")))
    for attribute, calibration in certificates.feeds[feed].items():
        # The test takes listings as independent, as those of one product are not.
        tags = newest.filter(pl.col("attribute") == attribute).unique("product_id", keep="first", maintain_order=True)
        tags = tags.head(max(FEWEST, tags.filter(pl.col("run_id") == run_id).height))
        if calibration.certified and tags.height >= FEWEST:
            drift = compare_scores(calibration, tags["confidence"].to_numpy())
            yield FeedDrift(feed, attribute, **asdict(drift), drifted=drift.drifted)
