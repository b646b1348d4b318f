"""Calibrated confidences, and what may be relied on: the certificates of each feed, and what they accept."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import blake2b
from math import ceil, log
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]
Bools = NDArray[np.bool_]
Feeds = NDArray[Any]  # (N,) names of feeds, text

By = Literal["attribute", "value"]


@dataclass(frozen=True)
class Promise:
    """What is certified: tags are right with at least this precision, at this confidence (1 − δ). `by` says whether an
    attribute has one threshold, or each of its values one of its own."""

    target_precision: float = 0.90
    confidence: float = 0.95
    by: By = "attribute"

    @property
    def risk(self) -> float:
        """δ, the share of calibration sets on which the promise may turn out wrong."""
        return 1.0 - self.confidence

    def fewest(self, risk: float, *, design_effect: float = 1.0) -> int:
        """So many right and none wrong are the least that can be certified at this risk: 29 for 90 % at 5 %."""
        return ceil(design_effect * ceil(log(risk) / log(self.target_precision)))


@dataclass(frozen=True)
class Certificate:
    """Of the labelled calibration listings of a feed (or those predicted as one value), at the promise's own δ.

    `threshold` None: nothing could be certified. Else `accepted` of the `listings` clear it, `right` of them are right,
    and `precision_bound` is the lower bound (Clopper–Pearson) of their precision. `labels_needed`: with so many more
    labels of the same quality it stands about an even chance; 0 where it is certified, None where none would do.
    `design_effect`: so many listings counted as one independent one, because of products (design_effect.py).
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
        """So many listings of products of their own would say as much."""
        return round(self.listings / self.design_effect)


@dataclass(frozen=True)
class Calibration:
    """Of one attribute on one feed.

    `certificate` is of the attribute as a whole, `values` of each value with data enough (each holds by itself, not all
    at once); `thresholds` are those that tags are accepted by, one a class (None: abstains). `ece` are expected
    calibration errors before and after the temperature (None: no listing). `confidences` are up to 200 quantiles,
    which later listings are compared with.
    """

    temperature: float
    ece_before: float | None
    ece_after: float | None
    certificate: Certificate
    values: dict[str, Certificate]
    thresholds: list[float | None]
    confidences: list[float]

    @property
    def certified(self) -> bool:
        """Whether any tag can be accepted."""
        return any(threshold is not None for threshold in self.thresholds)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Calibration":
        values = {name: Certificate(**value) for name, value in data["values"].items()}
        return cls(**{**data, "certificate": Certificate(**data["certificate"]), "values": values})


@dataclass(frozen=True)
class Certificates:
    """Of one model on one engine. By attribute: `pooled` over all feeds, and by feed what its own labels allow.

    A promise holds for the feed whose labels it was made on. Confidences of a feed without labels of its own come from
    the pooled temperature; its tags may be provisional, never accepted.
    """

    promise: Promise
    pooled: dict[str, Calibration]
    feeds: dict[str, dict[str, Calibration]]

    def probabilities(self, attribute: str, logits: Floats, feeds: Feeds) -> Floats:
        """(N, C) logits of the listings of these (N,) feeds → (N, C) calibrated probabilities."""
        temperature = _by_feed(feeds, lambda feed: self._of(attribute, feed).temperature)
        calibrated: Floats = softmax(logits / temperature.reshape(-1, 1), axis=1)
        return calibrated

    def accepted(self, attribute: str, probabilities: Floats, feeds: Feeds) -> Bools:
        """(N,) whether the likeliest value clears the threshold certified for it on the listing's own feed."""
        return self._clears(attribute, probabilities, feeds, self._own_thresholds)

    def certified(self, attribute: str, feeds: Feeds) -> Bools:
        """(N,) whether anything is certified for the attribute on the listing's own feed."""
        return _by_feed(feeds, lambda feed: self._is_certified(attribute, feed)).astype(bool)

    def provisional(self, attribute: str, probabilities: Floats, feeds: Feeds) -> Bools:
        """(N,) whether the tag clears the pooled threshold, and its feed has too few labels to say more: no promise."""
        return self._clears(attribute, probabilities, feeds, self._borrowed_thresholds)

    def id(self, feed: str) -> str:
        """Changes whenever the feed's tags may be accepted otherwise."""
        own = self.feeds.get(feed, {})
        made = {name: asdict(own.get(name, pooled)) for name, pooled in self.pooled.items()}
        return blake2b(json.dumps([asdict(self.promise), sorted(own), made]).encode(), digest_size=6).hexdigest()

    @property
    def pooled_id(self) -> str:
        """Of every feed that has no certificates of its own."""
        return self.id("")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Certificates":
        return cls(
            Promise(**data["promise"]),
            _calibrations(data["pooled"]),
            {feed: _calibrations(own) for feed, own in data["feeds"].items()},
        )

    def _of(self, attribute: str, feed: str) -> Calibration:
        return self.feeds.get(feed, {}).get(attribute, self.pooled[attribute])

    def _is_certified(self, attribute: str, feed: str) -> bool:
        own = self.feeds.get(feed, {}).get(attribute)
        return own is not None and own.certified

    def _own_thresholds(self, attribute: str, feed: str) -> list[float | None]:
        return self._of(attribute, feed).thresholds if self._is_certified(attribute, feed) else self._none(attribute)

    def _borrowed_thresholds(self, attribute: str, feed: str) -> list[float | None]:
        own = self.feeds.get(feed, {}).get(attribute)
        enough = own is not None and own.certificate.listings >= self.promise.fewest(self.promise.risk)
        return self._none(attribute) if enough else self.pooled[attribute].thresholds

    def _none(self, attribute: str) -> list[float | None]:
        return [None] * len(self.pooled[attribute].thresholds)

    def _clears(
        self,
        attribute: str,
        probabilities: Floats,
        feeds: Feeds,
        thresholds_of: Callable[[str, str], list[float | None]],
    ) -> Bools:
        classes = probabilities.shape[1]
        thresholds = _by_feed(
            feeds, lambda feed: [np.inf if t is None else t for t in thresholds_of(attribute, feed)]
        ).reshape(-1, classes)
        predicted = probabilities.argmax(axis=1)
        cleared: Bools = probabilities.max(axis=1) >= thresholds[np.arange(len(feeds)), predicted]
        return cleared


def _by_feed(feeds: Feeds, of: Callable[[str], Any]) -> NDArray[Any]:
    """What `of` says of each listing's feed, asked once a feed."""
    names, place = np.unique(feeds, return_inverse=True)
    return np.array([of(str(name)) for name in names], dtype=float)[place]


def _calibrations(data: dict[str, Any]) -> dict[str, Calibration]:
    return {name: Calibration.from_dict(value) for name, value in data.items()}
