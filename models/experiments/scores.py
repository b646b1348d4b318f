"""Compares the variants of an ablation: means over seeds, and the difference from the full network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from models.evaluation.intervals import interval, product_weights
from models.evaluation.metrics import METRICS as ALL_METRICS
from models.evaluation.metrics import Outcomes as Tags
from models.evaluation.metrics import evaluate
from models.experiments.mismatch_scores import SCORES, detection
from models.experiments.outcomes import Outcome
from models.experiments.splits import Compared
from models.experiments.swapped_listings import CONDITIONS, Condition, is_swapped

METRICS = ("accuracy", "macro_f1", "recall_oracle", "aurc")
COMPARED = ("recall_oracle", "aurc", "accuracy")  # with the full network
MEAN = "mean"  # over the attributes that have labels
BOTH_SWAPS = "both swaps"  # mean over swapped titles and swapped pictures
GIVEN = (*CONDITIONS, BOTH_SWAPS)
_PARTS: dict[str, tuple[Condition, ...]] = {of: (of,) for of in CONDITIONS} | {BOTH_SWAPS: CONDITIONS[1:]}

Outcomes = Mapping[int, Outcome]  # by seed

# A metric of the tags of N listings under R weightings, as in `metrics.py`.
Measure = Callable[[Tags, Float[np.ndarray, "R N"]], Float[np.ndarray, " R"]]


@dataclass(frozen=True)
class Spread:
    """A metric over the seeds; `std` is the sample standard deviation, None for one seed."""

    mean: float
    std: float | None
    seeds: list[float]

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        """The spread of these values, one a seed."""
        return cls(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None, values)


@dataclass(frozen=True)
class Difference:
    """A difference of two variants in a metric, with its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Resampled:
    """A mean over attributes and seeds, of the test listings and of each resample of their products."""

    value: float
    resamples: Float[np.ndarray, " R"]


Scores = dict[str, dict[str, dict[str, Spread]]]  # by what is given (`GIVEN`), attribute (or `mean`) and metric
Detection = dict[Condition, dict[str, dict[str, Spread]]]  # by swaps, score and metric
Bootstrap = dict[str, dict[str, Resampled]]  # by metric and what is given


def scores(outcomes: Outcomes, test: Compared, attributes: Sequence[str], target_precision: float) -> Scores:
    """The metrics of the test listings that have a label, over the seeds; of attributes with a value among these."""
    by_seed = {
        condition: [_metrics(outcome, condition, test, attributes, target_precision) for outcome in outcomes.values()]
        for condition in CONDITIONS
    }
    return {
        given: {
            name: {
                metric: Spread.of(
                    [float(np.mean(of)) for of in zip(*_values(by_seed, given, name, metric), strict=True)]
                )
                for metric in METRICS
            }
            for name in by_seed["clean"][0]
        }
        for given in GIVEN
    }


def _values(
    by_seed: Mapping[Condition, Sequence[dict[str, dict[str, float]]]], given: str, name: str, metric: str
) -> list[list[float]]:
    """For each condition of `given`, a metric by seed."""
    return [[metrics[name][metric] for metrics in by_seed[condition]] for condition in _PARTS[given]]


def bootstrap(outcomes: Outcomes, test: Compared, target_precision: float) -> Bootstrap:
    """The `COMPARED` metrics in the resamples, which are the same in every call."""
    found: Bootstrap = {}
    for metric in COMPARED:

        def measure(tags: Tags, weights: Float[np.ndarray, "R N"], of: str = metric) -> Float[np.ndarray, " R"]:
            return ALL_METRICS[of].measure(tags, weights, target_precision)

        found[metric] = {condition: _resampled(outcomes, test, condition, measure) for condition in CONDITIONS}
        swaps = [found[metric][condition] for condition in _PARTS[BOTH_SWAPS]]
        found[metric][BOTH_SWAPS] = Resampled(
            float(np.mean([swap.value for swap in swaps])), np.mean([swap.resamples for swap in swaps], axis=0)
        )
    return found


def difference(full: Resampled, other: Resampled) -> Difference:
    """The difference full − other, with the 95 % interval of a paired bootstrap over products. Both have the same
    seeds."""
    return Difference(full.value - other.value, *interval(full.resamples - other.resamples))


def _resampled(outcomes: Outcomes, test: Compared, condition: Condition, measure: Measure) -> Resampled:
    tags = [
        (test.labels[:, k] >= 0, _tags(outcome, condition, test, k))
        for outcome in outcomes.values()
        for k in range(test.labels.shape[1])
    ]
    measured = [(known, found) for known, found in tags if found.inside.any()]

    def means(weights: Float[np.ndarray, "R N"]) -> Float[np.ndarray, " R"]:
        return np.asarray(np.nanmean([measure(found, weights[:, known]) for known, found in measured], axis=0))

    resamples = np.concatenate([means(weights) for weights in product_weights(test.products)])
    return Resampled(float(means(np.ones((1, len(test))))[0]), resamples)


def mismatch_detection(outcomes: Outcomes, test: Compared) -> Detection:
    """How well each of `SCORES` finds the swapped listings among the others; {} for variants that have none."""
    found: Detection = {}
    if not all(outcome.mismatch for outcome in outcomes.values()):
        return found
    for condition in CONDITIONS[1:]:
        swapped = {seed: is_swapped(test.products, test.feeds, condition, seed=seed) for seed in outcomes}
        found[condition] = {}
        for place, score in enumerate(SCORES):
            by_seed = [detection(one.mismatch[condition][:, place], swapped[seed]) for seed, one in outcomes.items()]
            found[condition][score] = {name: Spread.of([each[name] for each in by_seed]) for name in by_seed[0]}
    return found


def _metrics(
    outcome: Outcome, condition: Condition, test: Compared, attributes: Sequence[str], target_precision: float
) -> dict[str, dict[str, float]]:
    found = {}
    for k, name in enumerate(attributes):
        tags = _tags(outcome, condition, test, k)
        if tags.inside.any():
            metrics = evaluate(tags, target_precision)
            found[name] = {metric: metrics[metric] for metric in METRICS}
    found[MEAN] = {metric: float(np.mean([metrics[metric] for metrics in found.values()])) for metric in METRICS}
    return found


def _tags(outcome: Outcome, condition: Condition, test: Compared, k: int) -> Tags:
    """The tags of the test listings that have a label of the k-th attribute. None is accepted."""
    probabilities = outcome.probabilities[condition][k]
    tags = Tags(
        labels=test.labels[:, k],
        raw_probabilities=probabilities,
        probabilities=probabilities,
        accepted=np.zeros(len(test), dtype=bool),
        image_weight=outcome.image_weight[condition][:, k],
        present=test.present,
        feeds=test.feeds,
        products=test.products,
    )
    return tags.take(tags.labels >= 0)
