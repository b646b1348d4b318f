"""The metrics of tags on labelled listings.

A label is a value, or "none of these values". Each tag of a listing outside the taxonomy is wrong, in the precision of
whatever is accepted, in calibration and in AURC; shares of what could be tagged right (accuracy, F1, recall) are of the
listings whose label is a value.

Each is measured under R weightings of N listings at once, since the bootstrap (`intervals.py`) needs a thousand;
weights of 1 give the metric of the listings themselves. NaN stands for a metric that does not exist, such as the
precision of accepted tags if none is accepted.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from models.engines.interface import Predictions
from models.inputs.arrays import ListingArrays
from models.rules.calibration import expected_calibration_error, value_probabilities
from models.rules.certificates import Certificates
from models.rules.certify import Labelled

Weights = Float[np.ndarray, "R N"]
Values = Float[np.ndarray, " R"]


@dataclass(frozen=True)
class Outcomes(ListingArrays):
    """The labels of N listings for one attribute of C values (C: none of the values), and a model's tags.

    `probabilities` are of the C values, `raw_probabilities` those before temperature scaling; `accepted` marks the tags
    that are accepted; `image_weight` is the paper's λ (equation 6); `present` says which of picture and title a listing
    has.
    """

    labels: Int[np.ndarray, " N"]
    raw_probabilities: Float[np.ndarray, "N C"]
    probabilities: Float[np.ndarray, "N C"]
    accepted: Bool[np.ndarray, " N"]
    image_weight: Float[np.ndarray, " N"]
    present: Bool[np.ndarray, "N 2"]
    feeds: Shaped[np.ndarray, " N"]
    products: Shaped[np.ndarray, " N"]

    @classmethod
    def of(
        cls,
        predictions: Predictions,
        labelled: Labelled,
        certificates: Certificates,
        attribute: str,
        k: int,
        present: Bool[np.ndarray, "N 2"] | None = None,
    ) -> "Outcomes":
        """The listings labelled with an attribute (the k-th task), and their tags under the certificates."""
        logits = predictions.logits[k]
        probabilities = certificates.probabilities(attribute, logits, labelled.feeds)
        every = cls(
            labels=labelled.labels[:, k],
            raw_probabilities=value_probabilities(logits),
            probabilities=probabilities,
            accepted=certificates.accepted(attribute, probabilities, labelled.feeds),
            image_weight=predictions.image_weight[:, k],
            present=np.ones((len(logits), 2), dtype=bool) if present is None else present,
            feeds=labelled.feeds,
            products=labelled.products,
        )
        return every.take(every.labels >= 0)

    @property
    def inside(self) -> Bool[np.ndarray, " N"]:
        """The listings whose label is a value."""
        return self.labels < self.probabilities.shape[1]

    @property
    def predicted(self) -> Int[np.ndarray, " N"]:
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def confidence(self) -> Float[np.ndarray, " N"]:
        return np.asarray(self.probabilities.max(axis=1))

    @property
    def right(self) -> Bool[np.ndarray, " N"]:
        return self.predicted == self.labels


def each_once(listings: int) -> Weights:
    """(1, N) weights of 1: the metric of the listings themselves."""
    return np.ones((1, listings))


def mean(values: Shaped[np.ndarray, " N"], weights: Weights) -> Values:
    """The weighted mean; NaN where no listing weighs anything."""
    return share(weights @ values, weights.sum(axis=1))


def share(part: Shaped[np.ndarray, "..."], whole: Shaped[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """part / whole; NaN for a share of nothing."""
    with np.errstate(invalid="ignore"):
        return np.asarray(part / whole)


def recall_at_precision(
    confidence: Float[np.ndarray, " N"],
    right: Bool[np.ndarray, " N"],
    weights: Weights,
    target: float,
    *,
    inside: Bool[np.ndarray, " N"] | None = None,
) -> Values:
    """The paper's R@P: the largest recall of a threshold whose precision reaches the target. Precision is over all
    listings, recall over those `inside` the taxonomy (None: all)."""
    hits, accepted = at_each_threshold(confidence, right, weights)
    reached = np.where(share(hits, accepted) >= target, hits, 0.0)
    return share(reached.max(axis=1, initial=0.0), (weights if inside is None else weights * inside).sum(axis=1))


def area_under_risk_coverage(
    confidence: Float[np.ndarray, " N"], right: Bool[np.ndarray, " N"], weights: Weights
) -> Values:
    """AURC (Geifman et al. 2019): the mean over tags of the error rate among the tags that are at least as
    confident."""
    hits, accepted = at_each_threshold(confidence, right, weights)
    risk = 1 - share(hits, accepted)  # NaN before the first listing that weighs anything
    return share(np.nansum(np.diff(accepted, axis=1, prepend=0) * risk, axis=1), weights.sum(axis=1))


def at_each_threshold(
    confidence: Float[np.ndarray, " N"], right: Bool[np.ndarray, " N"], weights: Weights
) -> tuple[Float[np.ndarray, "R T"], Float[np.ndarray, "R T"]]:
    """The weight of right tags, and of all tags, at or above each of the T distinct confidences, the highest first."""
    order = np.argsort(-confidence, kind="stable")
    last_of_tie = np.diff(confidence[order], append=np.nan) != 0
    hits, accepted = (np.cumsum(counts[:, order], axis=1)[:, last_of_tie] for counts in (weights * right, weights))
    return hits, accepted


def f1_of_values(outcomes: Outcomes, weights: Weights) -> Float[np.ndarray, "R C"]:
    """The F1 of each value on the listings whose label is one; NaN for a value that is neither labelled nor
    predicted."""
    values, weights = np.arange(outcomes.probabilities.shape[1]), weights * outcomes.inside
    labelled, predicted = outcomes.labels[:, None] == values, outcomes.predicted[:, None] == values
    return share(2 * (weights @ (labelled & predicted)), weights @ labelled + weights @ predicted)


def _macro_f1(outcomes: Outcomes, weights: Weights) -> Values:
    f1 = f1_of_values(outcomes, weights)
    return share(np.nansum(f1, axis=1), (~np.isnan(f1)).sum(axis=1))


def _calibration_error(probabilities: Float[np.ndarray, "N C"], outcomes: Outcomes, weights: Weights) -> Values:
    right = probabilities.argmax(axis=1) == outcomes.labels
    return expected_calibration_error(probabilities.max(axis=1), right, weights)


def _among_two_likeliest(outcomes: Outcomes) -> Bool[np.ndarray, " N"]:
    likeliest = np.argsort(-outcomes.probabilities, axis=1, kind="stable")[:, :2]
    return np.asarray((likeliest == outcomes.labels[:, None]).any(axis=1))


def _brier_scores(outcomes: Outcomes) -> Float[np.ndarray, " N"]:
    """Σ_c (p_c − y_c)² over the values and none of them, the multi-class score of Brier (1950): 0 to 2."""
    none = 1 - outcomes.probabilities.sum(axis=1, keepdims=True)
    classes = np.concatenate([outcomes.probabilities, none], axis=1)
    of_label = classes[np.arange(len(outcomes.labels)), outcomes.labels]
    return np.asarray((classes**2).sum(axis=1) - 2 * of_label + 1)


@dataclass(frozen=True)
class Metric:
    """A metric's title for people (`{target}` is the target precision) and its function."""

    title: str
    measure: Callable[[Outcomes, Weights, float], Values]


METRICS = {
    "accuracy": Metric("accuracy", lambda o, w, _: mean(o.right, w * o.inside)),
    "top2_accuracy": Metric("top-2 accuracy", lambda o, w, _: mean(_among_two_likeliest(o), w * o.inside)),
    "macro_f1": Metric("macro-F1", lambda o, w, _: _macro_f1(o, w)),
    "recall_oracle": Metric(
        "R@{target:.0%}", lambda o, w, t: recall_at_precision(o.confidence, o.right, w, t, inside=o.inside)
    ),
    "recall": Metric("recall of accepted", lambda o, w, _: mean(o.accepted & o.right, w * o.inside)),
    "precision": Metric("precision of accepted", lambda o, w, _: share(w @ (o.accepted & o.right), w @ o.accepted)),
    "coverage": Metric("coverage", lambda o, w, _: mean(o.accepted, w)),
    "outside_accepted": Metric("accepted outside the taxonomy", lambda o, w, _: mean(o.accepted, w * ~o.inside)),
    "ece_raw": Metric("ECE raw", lambda o, w, _: _calibration_error(o.raw_probabilities, o, w)),
    "ece": Metric("ECE calibrated", lambda o, w, _: _calibration_error(o.probabilities, o, w)),
    "brier": Metric("Brier score", lambda o, w, _: mean(_brier_scores(o), w)),
    "aurc": Metric("AURC", lambda o, w, _: area_under_risk_coverage(o.confidence, o.right, w)),
    "image_weight": Metric("mean image weight λ", lambda o, w, _: mean(o.image_weight, w)),
}


def measure(outcomes: Outcomes, weights: Weights, target_precision: float) -> dict[str, Values]:
    """Every metric of `METRICS` under each of the R weightings."""
    return {name: metric.measure(outcomes, weights, target_precision) for name, metric in METRICS.items()}


def evaluate(outcomes: Outcomes, target_precision: float) -> dict[str, float]:
    """Every metric of `METRICS`, and the numbers of listings: `labelled`, and `outside` the taxonomy among them."""
    count = len(outcomes.labels)
    found = measure(outcomes, each_once(count), target_precision)
    counts = {"labelled": count, "outside": int((~outcomes.inside).sum())}
    return {**counts, **{name: float(values[0]) for name, values in found.items()}}


def evaluate_attributes(test: Labelled, certificates: Certificates) -> dict[str, dict[str, float]]:
    """The result of `evaluate` for each attribute."""
    return {
        name: evaluate(
            Outcomes.of(test.predictions, test, certificates, name, k), certificates.promise.target_precision
        )
        for k, name in enumerate(certificates.pooled)
    }
