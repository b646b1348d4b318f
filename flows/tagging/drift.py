"""Watches certified feeds: after a tagging run, their newest confidences against those that they were certified on."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl

from catalog_io.catalog.drift import newest_confidences, store_drift
from flows.project.project import Project
from models.inputs.splits import split_of
from models.lifecycle.card import ModelCard
from models.rules.certificates import Certificates
from models.rules.drift import FEWEST, compare_scores


@dataclass(frozen=True)
class FeedDrift:
    """Of one attribute of a feed's newest listings; see `models.rules.drift.Drift`."""

    feed: str
    attribute: str
    listings: int
    statistic: float
    p_value: float
    drifted: bool


def watch(
    project: Project, card: ModelCard, certificates: Certificates, feeds: Sequence[str], *, engine: str, run_id: str
) -> list[FeedDrift]:
    """Compares what this run tagged of these feeds (the newest listings, where it tagged few); stores what it finds."""
    found = [drift for feed in feeds for drift in _compare(project, card, certificates, feed, engine, run_id)]
    if found:
        rows = pl.DataFrame([asdict(drift) for drift in found])
        keys = {"model_version": card.version, "engine": engine, "run_id": run_id}
        store_drift(project.home, rows.with_columns(**{name: pl.lit(value) for name, value in keys.items()}))
    return found


def _compare(
    project: Project, card: ModelCard, certificates: Certificates, feed: str, engine: str, run_id: str
) -> Iterator[FeedDrift]:
    newest = newest_confidences(
        project.home, feed=feed, model_version=card.version, engine=engine, certificate=certificates.id(feed)
    )
    if feed in card.feeds:  # of what the model has learned by heart it is surer than of anything new
        splits = [given or split_of(feed, product) for product, given in newest["product_id", "split"].iter_rows()]
        newest = newest.filter(~(np.isin(splits, ("train", "validation")) & newest["labelled"].to_numpy()))
    for attribute, calibration in certificates.feeds[feed].items():
        tags = newest.filter(pl.col("attribute") == attribute)
        tags = tags.head(max(FEWEST, tags.filter(pl.col("run_id") == run_id).height))
        if calibration.certified and tags.height >= FEWEST:
            drift = compare_scores(calibration, tags["confidence"].to_numpy())
            yield FeedDrift(feed, attribute, **asdict(drift), drifted=drift.drifted)
