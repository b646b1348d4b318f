"""Makes the certificates of feeds, from labelled listings that training has not seen."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from models.engines.encoded_listings import EncodedListings
from models.engines.interface import Predictions
from models.inputs.arrays import Bools, Floats, Ints, Names
from models.inputs.examples import Examples
from models.rules.calibration import expected_calibration_error, fit_temperature, value_probabilities
from models.rules.certificates import Calibration, Certificate, Certificates, Promise
from models.rules.thresholds import certify_threshold, design_effect, intraclass_correlation, labels_needed, lower_bound
from schemas.attribute import Attribute

_OWN_TEMPERATURE = 200  # labelled listings that a feed needs for a temperature of its own
_OWN_GROUP = 100  # listings predicted as a value, for it to be certified apart from the rest
_QUANTILES = 200


class Labelled(NamedTuple):
    """N listings as an engine predicts them; (N, K) labels (`Attribute.codes`); (N,) feeds and products."""

    predictions: Predictions
    labels: Ints
    feeds: Names
    products: Names

    @classmethod
    def of(cls, predictions: Predictions, examples: Examples | EncodedListings) -> "Labelled":
        return cls(predictions, examples.labels, examples.feeds, examples.products)


class Evidence(NamedTuple):
    """The tags of N labelled listings: their confidences, which are right, and the listings' products. `correlation` is
    the intraclass correlation of being right within products, over all listings of the attribute."""

    confidence: Floats
    right: Bools
    products: Names
    correlation: float

    def of(self, rows: Bools) -> "Evidence":
        return Evidence(self.confidence[rows], self.right[rows], self.products[rows], self.correlation)

    @property
    def design_effect(self) -> float:
        return design_effect(self.products, self.correlation)

    def threshold(self, promise: Promise, *, risk: float) -> float | None:
        return certify_threshold(self.confidence, self.right, promise, risk=risk, design_effect=self.design_effect)


def certificates_of(
    validation: Labelled,
    calibration: Labelled,
    attributes: Sequence[Attribute],
    promise: Promise,
    *,
    pooled: Mapping[str, Calibration] | None = None,
) -> Certificates:
    """The certificates of each feed in `calibration`: temperatures are fitted on `validation`, thresholds certified on
    `calibration`. `pooled`, the calibration over all feeds, is made from the same listings where it is None; give it
    where the listings are of some feeds only."""
    over_all = dict(pooled or {})
    own: dict[str, dict[str, Calibration]] = {}
    for k, attribute in enumerate(attributes):
        known, labels = validation.labels[:, k], calibration.labels[:, k]
        seen, logits = validation.predictions.logits[k], calibration.predictions.logits[k]
        if pooled is None:
            temperature = fit_temperature(seen, known)
            over_all[attribute.name] = calibrate(
                logits, labels, calibration.products, attribute, promise, temperature=temperature
            )
        for feed in np.unique(calibration.feeds[labels >= 0]).tolist():
            before, here = validation.feeds == feed, calibration.feeds == feed
            temperature = over_all[attribute.name].temperature
            if (known[before] >= 0).sum() >= _OWN_TEMPERATURE:
                temperature = fit_temperature(seen[before], known[before])
            own.setdefault(feed, {})[attribute.name] = calibrate(
                logits[here], labels[here], calibration.products[here], attribute, promise, temperature=temperature
            )
    return Certificates(promise, over_all, own)


def calibrate(
    logits: Floats, labels: Ints, products: Names, attribute: Attribute, promise: Promise, *, temperature: float
) -> Calibration:
    """The calibration of one attribute of C values on N listings that neither training nor the temperature has seen:
    (N, C + 1) logits, (N,) labels (−1: none) and products. A tag is wrong where the label is none of the values."""
    known = labels >= 0
    logits, labels, products = logits[known], labels[known], products[known]
    probabilities = value_probabilities(logits, temperature)
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    right = predicted == labels
    raw = value_probabilities(logits).max(axis=1)
    evidence = Evidence(confidence, right, products, intraclass_correlation(right, products))
    certificate = certify(evidence, promise, risk=promise.risk)
    by_value = {
        name: certify(evidence.of(predicted == value), promise, risk=promise.risk)
        for value, name in enumerate(attribute.value_names)
        if (predicted == value).sum() >= promise.fewest(promise.risk)
    }
    thresholds = (
        group_thresholds(predicted, evidence, promise, classes=probabilities.shape[1])
        if promise.by == "value"
        else [certificate.threshold] * probabilities.shape[1]
    )
    drawn = confidence[_one_of_each(products)]
    return Calibration(
        temperature=temperature,
        ece_before=_calibration_error(raw, right),
        ece_after=_calibration_error(confidence, right),
        certificate=certificate,
        values=by_value,
        thresholds=thresholds,
        confidences=_quantiles(drawn),
        compared=len(drawn),
    )


def compared_with(calibration: Calibration, confidence: Floats) -> Calibration:
    """The calibration with the (N,) confidences of listings, one of each product, to compare later ones with."""
    return replace(calibration, confidences=_quantiles(confidence), compared=len(confidence))


def _one_of_each(products: Names) -> Ints:
    """The places of a random listing of each product: the test of drift takes listings as independent."""
    order = np.random.default_rng(0).permutation(len(products))
    return order[np.unique(products[order], return_index=True)[1]]


def group_thresholds(predicted: Ints, evidence: Evidence, promise: Promise, *, classes: int) -> list[float | None]:
    """A threshold for each class (None: it is never accepted). A class with at least 100 predictions is a group of its
    own, the others are one group together. Each of G groups is certified at δ/G, so that all hold at once, and with
    them their union. The groups depend on the (N,) predicted classes, never on which of them are right."""
    often = np.flatnonzero(np.bincount(predicted, minlength=classes) >= _OWN_GROUP).tolist()
    groups = [[value] for value in often]
    rest = [value for value in range(classes) if value not in often]
    if np.isin(predicted, rest).any():
        groups.append(rest)
    thresholds: list[float | None] = [None] * classes
    for group in groups:
        found = evidence.of(np.isin(predicted, group)).threshold(promise, risk=promise.risk / len(groups))
        for value in group:
            thresholds[value] = found
    return thresholds


def certify(evidence: Evidence, promise: Promise, *, risk: float) -> Certificate:
    """The lowest threshold that can be certified at this risk, and its precision on these N listings."""
    confidence, right, effect = evidence.confidence, evidence.right, evidence.design_effect
    threshold = evidence.threshold(promise, risk=risk)
    if threshold is None:
        more = labels_needed(confidence, right, promise, risk=risk, design_effect=effect)
        return Certificate(len(right), threshold, 0, 0, None, more, effect)
    accepted = confidence >= threshold
    count, hits = int(accepted.sum()), int(right[accepted].sum())
    bound = lower_bound(hits, count, risk, design_effect=effect)
    return Certificate(len(right), threshold, count, hits, bound, 0, effect)


def _quantiles(confidence: Floats) -> list[float]:
    """At most 200 quantiles, ascending; all confidences where there are no more."""
    if len(confidence) > _QUANTILES:
        confidence = np.quantile(confidence, (np.arange(_QUANTILES) + 0.5) / _QUANTILES)
    return [float(value) for value in np.sort(confidence)]


def _calibration_error(confidence: Floats, right: Bools) -> float | None:
    if not len(right):
        return None
    return float(expected_calibration_error(confidence, right, np.ones((1, len(right))))[0])
