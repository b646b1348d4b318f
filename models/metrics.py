"""How good a tagger is on labelled listings: the paper's recall at a target precision, and what else is asked."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]


@dataclass(frozen=True)
class AttributeMetrics:
    """All shares are of the labelled listings, in [0, 1]; `recall` is right accepted tags over labelled listings."""

    labelled: int
    accuracy: float
    macro_f1: float
    recall_oracle: float  # at the best threshold that these very listings allow
    recall: float  # at the deployed threshold
    precision: float  # of accepted tags
    coverage: float
    ece: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def evaluate(
    probabilities: Floats, labels: Ints, *, threshold: float | None, target_precision: float
) -> AttributeMetrics:
    """`probabilities` (N, C) calibrated, `labels` (N,) with −1 for none; `threshold` None accepts nothing."""
    known = labels >= 0
    probabilities, labels = probabilities[known], labels[known]
    if not len(labels):
        return AttributeMetrics(0, *[float("nan")] * 7)
    predicted, confidence = probabilities.argmax(1), probabilities.max(1)
    right = predicted == labels
    accepted = confidence >= threshold if threshold is not None else np.zeros(len(labels), dtype=bool)
    return AttributeMetrics(
        labelled=len(labels),
        accuracy=float(right.mean()),
        macro_f1=float(f1_score(labels, predicted, average="macro", zero_division=0)),
        recall_oracle=recall_at_precision(confidence, right, target_precision),
        recall=float((right & accepted).mean()),
        precision=float(right[accepted].mean()) if accepted.any() else float("nan"),
        coverage=float(accepted.mean()),
        ece=expected_calibration_error(confidence, right),
    )


def recall_at_precision(confidence: Floats, right: NDArray[np.bool_], target: float) -> float:
    """The largest share of right accepted predictions over all thresholds whose precision reaches the target."""
    order = np.argsort(-confidence, kind="stable")
    hits = np.cumsum(right[order])
    last_of_tie = np.append(np.diff(confidence[order]) != 0, True)
    reaches = (hits / np.arange(1, len(right) + 1) >= target) & last_of_tie
    return float(hits[reaches].max() / len(right)) if reaches.any() else 0.0


def expected_calibration_error(confidence: Floats, right: NDArray[np.bool_], bins: int = 15) -> float:
    """Mean distance between confidence and accuracy over equally wide bins, weighted by their listings."""
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    gap = np.bincount(index, weights=confidence - right, minlength=bins)
    return float(np.abs(gap).sum() / len(right))
