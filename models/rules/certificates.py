"""Calibrated confidences, and what may be relied on: the certificates of each feed, and what they accept."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import blake2b
from math import ceil, log
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.inputs.arrays import Bools, Floats, Names
from models.rules.calibration import value_probabilities

By = Literal["attribute", "value"]


@dataclass(frozen=True)
class Promise:
    """What is certified: tags are right with at least this precision, at this confidence (1 − δ). `by`: an attribute
    has one threshold, or each of its values has its own."""

    target_precision: float = 0.90
    confidence: float = 0.95
    by: By = "attribute"

    @property
    def risk(self) -> float:
        """δ: the probability, over calibration sets, that the promise does not hold."""
        return 1.0 - self.confidence

    def fewest(self, risk: float, *, design_effect: float = 1.0) -> int:
        """The number of listings, all right, that certifies the target at this risk: 29 for 90 % at 5 %."""
        return ceil(design_effect * ceil(log(risk) / log(self.target_precision)))


@dataclass(frozen=True)
class Certificate:
    """What a feed's labelled calibration listings (or those predicted as one value) certify, at the promise's own δ.

    `threshold` is the lowest certified confidence (None: nothing could be certified). `accepted` of the `listings`
    reach it, `right` of these are right; `precision_bound` is the Clopper–Pearson lower bound of their precision.
    `labels_needed` is the number of further labels of the same quality with which certification becomes about as likely
    as not; 0 where it is certified, None where no number suffices. `design_effect` is the number of listings that count
    as one independent listing, because listings of a product are correlated (see `thresholds.design_effect`).
    """

    listings: int
    threshold: float | None
    accepted: int
    right: int
    precision_bound: float | None
    labels_needed: int | None
    design_effect: float = 1.0

    @property
    def worth(self) -> int:
        """The effective sample size: the number of independent listings with the same information."""
        return round(self.listings / self.design_effect)


@dataclass(frozen=True)
class Calibration:
    """The calibration of one attribute on one feed.

    `certificate` is for the attribute as a whole, `values` for each value with enough data (each certificate holds by
    itself, not all at once). `thresholds` has one entry a value: the confidence from which its tags are accepted (None:
    never). `ece_before` and `ece_after` are the expected calibration errors without and with the temperature (None: no
    listing). `confidences` are up to 200 quantiles of the confidences of `compared` listings, one of each product,
    drawn as the feed's later listings are, which these are compared with (see `drift`).
    """

    temperature: float
    ece_before: float | None
    ece_after: float | None
    certificate: Certificate
    values: dict[str, Certificate]
    thresholds: list[float | None]
    confidences: list[float]
    compared: int

    @property
    def certified(self) -> bool:
        """Whether any tag can be accepted."""
        return any(threshold is not None for threshold in self.thresholds)


@dataclass(frozen=True)
class Certificates:
    """The certificates of one model on one engine, by attribute: `pooled` over all feeds, and `feeds` for each feed by
    its own labels.

    A promise holds for the feed whose labels it was made on. A feed without labels of its own gets its confidences from
    the pooled temperature; its tags may be provisional, never accepted.
    """

    promise: Promise
    pooled: dict[str, Calibration]
    feeds: dict[str, dict[str, Calibration]]

    def probabilities(self, attribute: str, logits: Floats, feeds: Names) -> Floats:
        """(N, C + 1) logits of the listings of these (N,) feeds → (N, C) calibrated probabilities of the C values. What
        is missing to 1 is the probability of none of them: it keeps listings outside the taxonomy below a threshold.
        """
        pooled = self.pooled[attribute]
        temperature = _for_feeds(feeds, lambda feed: (self._own(attribute, feed) or pooled).temperature)
        return value_probabilities(logits, temperature.reshape(-1, 1))

    def accepted(self, attribute: str, probabilities: Floats, feeds: Names) -> Bools:
        """(N,) whether the likeliest value reaches the threshold certified for it on the listing's own feed."""

        def own(feed: str) -> list[float | None] | None:
            calibration = self._own(attribute, feed)
            return calibration.thresholds if calibration else None

        return _reached(probabilities, feeds, own)

    def certified(self, attribute: str, feeds: Names) -> Bools:
        """(N,) whether anything is certified for the attribute on the listing's own feed."""

        def own(feed: str) -> bool:
            calibration = self._own(attribute, feed)
            return calibration is not None and calibration.certified

        return _for_feeds(feeds, own).astype(bool)

    def provisional(self, attribute: str, probabilities: Floats, feeds: Names) -> Bools:
        """(N,) whether the tag reaches the pooled threshold, on a feed with too few labels to be certified or refused
        by its own. Nothing is promised of such a tag."""
        fewest = self.promise.fewest(self.promise.risk)

        def pooled(feed: str) -> list[float | None] | None:
            own = self._own(attribute, feed)
            return None if own and own.certificate.listings >= fewest else self.pooled[attribute].thresholds

        return _reached(probabilities, feeds, pooled)

    def id(self, feed: str) -> str:
        """A hash that changes whenever the feed's tags may be accepted otherwise."""
        own = self.feeds.get(feed, {})
        made = {name: asdict(own.get(name, pooled)) for name, pooled in self.pooled.items()}
        for calibration in made.values():  # no tag depends on what drift is measured by
            del calibration["confidences"], calibration["compared"]
        return blake2b(json.dumps([asdict(self.promise), sorted(own), made]).encode(), digest_size=6).hexdigest()

    @property
    def pooled_id(self) -> str:
        """The `id` of every feed without certificates of its own."""
        return self.id("")

    def _own(self, attribute: str, feed: str) -> Calibration | None:
        return self.feeds.get(feed, {}).get(attribute)


def _reached(probabilities: Floats, feeds: Names, thresholds: Callable[[str], list[float | None] | None]) -> Bools:
    """(N,) whether the likeliest value reaches its threshold among the (C,) ones of its feed; None is never reached."""
    never = [None] * probabilities.shape[1]
    table = _for_feeds(feeds, lambda feed: [np.inf if t is None else t for t in thresholds(feed) or never])
    predicted = probabilities.argmax(axis=1)
    reached: Bools = probabilities.max(axis=1) >= table.reshape(-1, len(never))[np.arange(len(feeds)), predicted]
    return reached


def _for_feeds(feeds: Names, value: Callable[[str], Any]) -> NDArray[Any]:
    """(N, …) the number or numbers of each listing's feed; `value` is called once a feed."""
    names, place = np.unique(feeds, return_inverse=True)
    return np.array([value(str(name)) for name in names], dtype=float)[place]
