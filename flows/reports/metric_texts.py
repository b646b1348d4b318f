"""How metrics are named and written, on the terminal and in the model card."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.evaluation.results import Estimate

# The metrics of a `Subset`, in the order that they are shown in.
METRICS = {
    "accuracy": "accuracy",
    "top2_accuracy": "top-2 accuracy",
    "macro_f1": "macro-F1",
    "recall_oracle": "R@{target:.0%}",
    "recall": "recall of accepted",
    "precision": "precision of accepted",
    "coverage": "coverage",
    "ece_raw": "ECE raw",
    "ece": "ECE calibrated",
    "brier": "Brier score",
    "aurc": "AURC",
    "image_weight": "mean image weight λ",
}


def with_interval(estimate: Estimate, digits: int = 3) -> str:
    """`0.942 (0.921–0.958)`, or a dash for what does not exist."""
    if isnan(estimate.value):
        return "–"
    value, low, high = (f"{number:.{digits}f}" for number in (estimate.value, estimate.low, estimate.high))
    return f"{value} ({low}–{high})"
