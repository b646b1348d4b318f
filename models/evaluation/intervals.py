"""Percentile bootstrap over products (Efron 1979): how far a metric would move, had other products been held out."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Shaped
from scipy.special import betaincinv

from models.evaluation.metrics import among_two_likeliest, at_each_threshold, brier_scores
from models.evaluation.results import Estimate
from models.rules.calibration import BINS, confidence_bins

RESAMPLES = 1000
LEVEL = 0.95
_CELLS = 1_000_000  # resamples × listings that are worked on at once


@dataclass(frozen=True)
class Outcomes:
    """What became of N labelled listings with one attribute of C values.

    `raw_probabilities` are those before temperature scaling, `accepted` the tags that are relied on, `image_weight` is
    the paper's λ, `present` says which of picture and title a listing has; `products` is what the bootstrap draws.
    """

    labels: Int[np.ndarray, " N"]
    raw_probabilities: Float[np.ndarray, "N C"]
    probabilities: Float[np.ndarray, "N C"]
    accepted: Bool[np.ndarray, " N"]
    image_weight: Float[np.ndarray, " N"]
    present: Bool[np.ndarray, "N 2"]
    feeds: Shaped[np.ndarray, " N"]
    products: Shaped[np.ndarray, " N"]

    def take(self, rows: np.ndarray) -> "Outcomes":
        """The listings at these positions, or where this mask is true."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def predicted(self) -> Int[np.ndarray, " N"]:
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def confidence(self) -> Float[np.ndarray, " N"]:
        return np.asarray(self.probabilities.max(axis=1))

    @property
    def right(self) -> Bool[np.ndarray, " N"]:
        return self.predicted == self.labels


def resampled(
    outcomes: Outcomes, target_precision: float, *, seed: int = 0
) -> tuple[dict[str, Float64[np.ndarray, " R"]], Float64[np.ndarray, "R C"]]:
    """Every metric in each of R resamples, and the F1 of each value. All listings of a drawn product come with it, as
    often as it was drawn: listings of one product are not independent."""
    drawn = product_weights(outcomes.products, seed=seed)
    parts = [weighted_metrics(outcomes, weights, target_precision) for weights in drawn]
    metrics = {name: np.concatenate([part[name] for part, _ in parts]) for name in parts[0][0]}
    return metrics, np.concatenate([f1 for _, f1 in parts])


def interval(resamples: Float64[np.ndarray, " R"]) -> tuple[float, float]:
    """The percentile interval; resamples in which the metric does not exist (NaN) are left out."""
    defined = resamples[~np.isnan(resamples)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def weighted_metrics(
    outcomes: Outcomes, weights: Float64[np.ndarray, "R N"], target_precision: float
) -> tuple[dict[str, Float64[np.ndarray, " R"]], Float64[np.ndarray, "R C"]]:
    """The metrics of `metrics`, and the F1 of each value, where listing n counts `weights[r, n]` times."""
    right, total = outcomes.right, weights.sum(axis=1)
    accepted, accepted_right = weights @ outcomes.accepted, weights @ (outcomes.accepted & right)
    f1 = _f1(outcomes, weights)
    with np.errstate(invalid="ignore"):
        precision = accepted_right / accepted  # NaN where nothing is accepted
    metrics = {
        "accuracy": weights @ right / total,
        "macro_f1": np.nanmean(f1, axis=1),
        "recall_oracle": weighted_recall_at_precision(outcomes.confidence, right, weights, target_precision),
        "recall": accepted_right / total,
        "precision": precision,
        "coverage": accepted / total,
        "ece": _calibration_error(outcomes.probabilities, outcomes.labels, weights),
        "ece_raw": _calibration_error(outcomes.raw_probabilities, outcomes.labels, weights),
        "top2_accuracy": weights @ among_two_likeliest(outcomes.probabilities, outcomes.labels) / total,
        "brier": weights @ brier_scores(outcomes.probabilities, outcomes.labels) / total,
        "aurc": weighted_area_under_risk_coverage(outcomes.confidence, right, weights),
        "image_weight": weights @ outcomes.image_weight / total,
    }
    return metrics, f1


def weighted_recall_at_precision(
    confidence: Float[np.ndarray, " N"],
    right: Bool[np.ndarray, " N"],
    weights: Float64[np.ndarray, "R N"],
    target: float,
) -> Float64[np.ndarray, " R"]:
    """`metrics.recall_at_precision` where listing n counts `weights[r, n]` times; NaN where none counts."""
    hits, accepted = at_each_threshold(confidence, right, weights)
    with np.errstate(invalid="ignore"):
        reaches = hits / accepted >= target  # 0 / 0: nothing was drawn yet
        return np.asarray(np.where(reaches, hits, 0.0).max(axis=1) / accepted[:, -1])


def weighted_area_under_risk_coverage(
    confidence: Float[np.ndarray, " N"], right: Bool[np.ndarray, " N"], weights: Float64[np.ndarray, "R N"]
) -> Float64[np.ndarray, " R"]:
    """`metrics.area_under_risk_coverage` where listing n counts `weights[r, n]` times; NaN where none counts."""
    hits, accepted = at_each_threshold(confidence, right, weights)
    with np.errstate(invalid="ignore"):
        wrong = 1 - hits / accepted  # 0 / 0: nothing was drawn yet
        return np.asarray(np.nansum(np.diff(accepted, prepend=0) * wrong, axis=1) / accepted[:, -1])


def product_weights(
    products: Shaped[np.ndarray, " N"], *, resamples: int = RESAMPLES, seed: int = 0
) -> Iterator[Float64[np.ndarray, "R N"]]:
    """How often each listing counts in each resample, some resamples at a time, so that memory stays bounded."""
    names, index = np.unique(products, return_inverse=True)
    generator = np.random.default_rng(seed)
    block = max(1, _CELLS // len(index))
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=rows)
        yield drawn[:, index].astype(np.float64)


def _f1(outcomes: Outcomes, weights: Float64[np.ndarray, "R N"]) -> Float64[np.ndarray, "R C"]:
    """NaN for a value that is neither labelled nor predicted."""
    values = np.arange(outcomes.probabilities.shape[1])
    labelled, predicted = outcomes.labels[:, None] == values, outcomes.predicted[:, None] == values
    with np.errstate(invalid="ignore"):
        return np.asarray(2 * (weights @ (labelled & predicted)) / (weights @ labelled + weights @ predicted))


def _calibration_error(
    probabilities: Float[np.ndarray, "N C"], labels: Int[np.ndarray, " N"], weights: Float64[np.ndarray, "R N"]
) -> Float64[np.ndarray, " R"]:
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    in_bin = confidence_bins(confidence, BINS)[:, None] == np.arange(BINS)
    gaps = weights @ (in_bin * (confidence - right)[:, None])
    return np.asarray(np.abs(gaps).sum(axis=1) / weights.sum(axis=1))


def clopper_pearson(right: int, of: int) -> Estimate:
    """A share and its exact binomial interval; NaN where it is of nothing."""
    if not of:
        return Estimate(float("nan"), float("nan"), float("nan"))
    tail = (1 - LEVEL) / 2
    low = betaincinv(right, of - right + 1, tail) if right else 0.0
    high = betaincinv(right + 1, of - right, 1 - tail) if right < of else 1.0
    return Estimate(right / of, float(low), float(high))
