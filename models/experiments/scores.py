"""Compares the variants of an ablation: means over seeds, and the difference from the full network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from models.evaluation.intervals import interval, product_weights
from models.evaluation.metrics import Outcomes as Tags
from models.evaluation.metrics import evaluate
from models.experiments.outcomes import Outcome
from models.experiments.swapped_listings import CONDITIONS, Condition, under_condition
from models.inputs.examples import Examples

METRICS = ("accuracy", "macro_f1", "recall_oracle", "aurc")
MEAN = "mean"  # over the attributes that have labels

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


Scores = dict[Condition, dict[str, dict[str, Spread]]]  # by condition, attribute (or `mean`) and metric
ImageWeights = dict[str, dict[str, dict[Condition, Spread]]]  # λ by feed, attribute and condition


def scores(outcomes: Outcomes, test: Examples, attributes: Sequence[str], target_precision: float) -> Scores:
    """The metrics of the test listings that have a label, over the seeds; of attributes with a value among these."""
    found: Scores = {}
    for condition in CONDITIONS:
        by_seed = [_metrics(outcome, condition, test, attributes, target_precision) for outcome in outcomes.values()]
        found[condition] = {
            name: {metric: Spread.of([metrics[name][metric] for metrics in by_seed]) for metric in METRICS}
            for name in by_seed[0]
        }
    return found


def difference(full: Outcomes, other: Outcomes, test: Examples, condition: Condition, measure: Measure) -> Difference:
    """The difference full − other of a measure, a mean over attributes and seeds, with the 95 % interval of a paired
    bootstrap over products. Both have the same seeds."""
    products = [_bootstrap(outcomes, test, condition, measure) for outcomes in (full, other)]
    (value, resamples), (other_value, other_resamples) = products
    low, high = interval(resamples - other_resamples)
    return Difference(value - other_value, low, high)


def _bootstrap(
    outcomes: Outcomes, test: Examples, condition: Condition, measure: Measure
) -> tuple[float, Float[np.ndarray, " R"]]:
    """The mean of the measure on the test listings and in each resample of their products. Every call draws the same
    resamples."""
    once = np.ones((1, len(test)))
    tags = [
        (test.labels[:, k] >= 0, _tags(outcome, condition, test, k))
        for outcome in outcomes.values()
        for k in range(test.labels.shape[1])
    ]
    measured = [(known, found) for known, found in tags if found.inside.any()]

    def means(weights: Float[np.ndarray, "R N"]) -> Float[np.ndarray, " R"]:
        return np.asarray(np.nanmean([measure(found, weights[:, known]) for known, found in measured], axis=0))

    resamples = np.concatenate([means(weights) for weights in product_weights(test.products)])
    return float(means(once)[0]), resamples


def image_weights(outcomes: Outcomes, test: Examples, attributes: Sequence[str]) -> ImageWeights:
    """By feed, attribute and condition: the mean λ of the feed's listings (clean), or of its swapped ones."""
    found: ImageWeights = {}
    for feed in np.unique(test.feeds).tolist():
        found[feed] = {name: {} for name in attributes}
        for condition in CONDITIONS:
            means = []
            for seed, outcome in outcomes.items():
                swapped = under_condition(test, condition, seed=seed).swapped
                chosen = (test.feeds == feed) & (swapped if condition != "clean" else True)
                means.append(outcome.image_weight[condition][chosen].mean(axis=0))
            for k, name in enumerate(attributes):
                found[feed][name][condition] = Spread.of([float(mean[k]) for mean in means])
    return found


def _metrics(
    outcome: Outcome, condition: Condition, test: Examples, attributes: Sequence[str], target_precision: float
) -> dict[str, dict[str, float]]:
    found = {}
    for k, name in enumerate(attributes):
        tags = _tags(outcome, condition, test, k)
        if tags.inside.any():
            metrics = evaluate(tags, target_precision)
            found[name] = {metric: metrics[metric] for metric in METRICS}
    found[MEAN] = {metric: float(np.mean([metrics[metric] for metrics in found.values()])) for metric in METRICS}
    return found


def _tags(outcome: Outcome, condition: Condition, test: Examples, k: int) -> Tags:
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
