"""Evaluates tags against labels, with intervals: by attribute, value, feed and kind of listing."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float
from sklearn.metrics import confusion_matrix

from models.engines.encoded_listings import EncodedListings
from models.engines.interface import Predictions
from models.evaluation.intervals import clopper_pearson, interval, resampled
from models.evaluation.metrics import Outcomes, each_once, f1_of_values, measure
from models.evaluation.results import AttributeResults, Bin, CurvePoint, Estimate, Results, Subset, ValueMetrics
from models.inputs.examples import Examples
from models.rules.calibration import BINS, among_bins
from models.rules.certificates import Certificates
from models.rules.certify import Labelled
from schemas.taxonomy import Taxonomy

FEWEST = 50  # labelled listings that a feed or a kind of listing needs to be evaluated separately
_CURVE_POINTS = 200


def evaluate_predictions(
    predictions: Predictions,
    examples: Examples | EncodedListings,
    certificates: Certificates,
    taxonomy: Taxonomy,
    *,
    split: str,
) -> Results:
    """Evaluates an engine's predictions for the listings of one split, with the tags that its certificates accept."""
    target_precision = certificates.promise.target_precision
    labelled = Labelled.of(predictions, examples)
    attributes = {}
    for k, attribute in enumerate(taxonomy.attributes):
        outcomes = Outcomes.of(predictions, labelled, certificates, attribute.name, k, examples.present)
        if len(outcomes.labels):
            attributes[attribute.name] = evaluate_attribute(
                outcomes, attribute.value_names, target_precision=target_precision
            )
    feeds, counts = np.unique(examples.feeds, return_counts=True)
    return Results(split, dict(zip(feeds.tolist(), counts.tolist(), strict=True)), target_precision, attributes)


def evaluate_attribute(outcomes: Outcomes, values: Sequence[str], *, target_precision: float) -> AttributeResults:
    """Evaluates the tags of one attribute, for at least one labelled listing."""
    has_picture, has_title = outcomes.present.T
    kinds = {
        "picture and title": has_picture & has_title,
        "picture only": has_picture & ~has_title,
        "title only": ~has_picture & has_title,
    }
    feeds = {str(feed): outcomes.feeds == feed for feed in np.unique(outcomes.feeds)}
    overall, f1 = _subset(outcomes, target_precision)
    return AttributeResults(
        overall=overall,
        feeds=_subsets(outcomes, feeds, target_precision),
        kinds=_subsets(outcomes, kinds, target_precision),
        values=[_value_metrics(outcomes, place, value, f1[place]) for place, value in enumerate(values)],
        confusion=confusion_matrix(outcomes.labels, outcomes.predicted, labels=np.arange(len(values))).tolist(),
        reliability=_reliability(outcomes.confidence, outcomes.right),
        curve=_curve(outcomes.confidence, outcomes.right),
    )


def _subset(outcomes: Outcomes, target_precision: float) -> tuple[Subset, list[Estimate]]:
    """All metrics with their intervals, and the F1 of every value."""
    once = each_once(len(outcomes.labels))
    found, found_f1 = measure(outcomes, once, target_precision), f1_of_values(outcomes, once)
    drawn, drawn_f1 = resampled(outcomes, target_precision)
    metrics = {name: _estimate(found[name], drawn[name]) for name in found}
    precisions = drawn["precision"][~np.isnan(drawn["precision"])]
    subset = Subset(
        labelled=len(outcomes.labels),
        outside=int((~outcomes.inside).sum()),
        products=len(np.unique(outcomes.products)),
        metrics=metrics,
        promise_kept=float((precisions >= target_precision).mean()) if len(precisions) else float("nan"),
    )
    return subset, [_estimate(value, resamples) for value, resamples in zip(found_f1.T, drawn_f1.T, strict=True)]


def _estimate(found: Float[np.ndarray, " 1"], resamples: Float[np.ndarray, " R"]) -> Estimate:
    return Estimate(float(found[0]), *interval(resamples))


def _subsets(
    outcomes: Outcomes, masks: Mapping[str, Bool[np.ndarray, " N"]], target_precision: float
) -> dict[str, Subset]:
    """The large enough subsets; none if one of them is the whole."""
    if any(mask.all() for mask in masks.values()):
        return {}
    return {
        name: _subset(outcomes.take(mask), target_precision)[0] for name, mask in masks.items() if mask.sum() >= FEWEST
    }


def _value_metrics(outcomes: Outcomes, place: int, value: str, f1: Estimate) -> ValueMetrics:
    labelled, predicted = outcomes.labels == place, outcomes.predicted == place
    accepted = predicted & outcomes.accepted
    hits, accepted_hits = int((predicted & labelled).sum()), int((accepted & labelled).sum())
    return ValueMetrics(
        value=value,
        labelled=int(labelled.sum()),
        predicted=int(predicted.sum()),
        accepted=int(accepted.sum()),
        precision=clopper_pearson(hits, int(predicted.sum())),
        recall=clopper_pearson(hits, int(labelled.sum())),
        f1=f1,
        accepted_precision=clopper_pearson(accepted_hits, int(accepted.sum())),
        accepted_recall=clopper_pearson(accepted_hits, int(labelled.sum())),
    )


def _reliability(confidence: Float[np.ndarray, " N"], right: Bool[np.ndarray, " N"]) -> list[Bin]:
    """The bins of the expected calibration error, without empty ones."""
    place = among_bins(confidence).argmax(axis=1)
    return [
        Bin(
            low=index / BINS,
            high=(index + 1) / BINS,
            listings=int((place == index).sum()),
            confidence=float(confidence[place == index].mean()),
            accuracy=float(right[place == index].mean()),
        )
        for index in np.unique(place).tolist()
    ]


def _curve(confidence: Float[np.ndarray, " N"], right: Bool[np.ndarray, " N"]) -> list[CurvePoint]:
    """Precision and coverage at up to 200 thresholds, the highest first; a threshold cannot cut through a tie."""
    order = np.argsort(-confidence, kind="stable")
    precision = np.cumsum(right[order]) / np.arange(1, len(right) + 1)
    ends = np.flatnonzero(np.append(np.diff(confidence[order]) != 0, True))
    chosen = ends[np.unique(np.linspace(0, len(ends) - 1, _CURVE_POINTS).round().astype(int))]
    return [
        CurvePoint(float(confidence[order[end]]), (end + 1) / len(right), float(precision[end]))
        for end in chosen.tolist()
    ]
