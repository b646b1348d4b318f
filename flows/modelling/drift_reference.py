"""The confidences that a feed's later listings are compared with: of listings as they come, labelled or not."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import polars as pl

from flows.modelling.encoded import Encoder
from flows.modelling.labelled import listings_with_splits
from flows.project.project import Project
from models.engines.table import EngineName
from models.inputs.arrays import Floats
from models.lifecycle.model import Model
from models.rules.certificates import Calibration, Certificates
from models.rules.certify import compared_with
from schemas.frames import LABEL_PREFIX

_MOST = 1000  # listings of a feed, one of each product
_ENOUGH = 0.95  # share of labelled listings: the few others cannot shift the distribution as far as drift is (0.1)


def store_drift_reference(project: Project, model: Model, engine: EngineName, feeds: Collection[str] = ()) -> None:
    """Puts into the certificates of these feeds (none: all) the confidences of up to 1,000 random listings of the
    calibration split, one of each product. An attribute that nearly all listings have a label of keeps those of its
    labelled listings."""
    certificates = model.certificates(engine)
    frame = listings_with_splits(project, model).filter(pl.col("split") == "calibration")
    own = dict(certificates.feeds)
    for feed in feeds or list(own):
        of_feed = frame.filter(pl.col("feed") == feed)
        enough = _ENOUGH * of_feed.height
        rarely = [name for name in own.get(feed, {}) if of_feed[f"{LABEL_PREFIX}{name}"].count() < enough]
        if rarely:
            shuffled = of_feed.sample(fraction=1.0, shuffle=True, seed=0)
            some = shuffled.unique("product_id", keep="first", maintain_order=True).head(_MOST)
            _, listings = Encoder(project, model, engine).encode(some, labelled=False)
            logits = dict(zip(model.card.taxonomy.names, model.answer(listings).logits, strict=True))
            own[feed] = own[feed] | {name: _compared(certificates, feed, name, logits[name]) for name in rarely}
    if own != certificates.feeds:
        model.store_certificates(engine, replace(certificates, feeds=own))


def _compared(certificates: Certificates, feed: str, attribute: str, logits: Floats) -> Calibration:
    probabilities = certificates.probabilities(attribute, logits, np.array([feed] * len(logits)))
    return compared_with(certificates.feeds[feed][attribute], probabilities.max(axis=1))
