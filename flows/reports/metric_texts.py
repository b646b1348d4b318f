"""Titles and number formats of metrics, for the terminal and the model card."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.evaluation.results import Estimate


def metric_titles(target: float) -> dict[str, str]:
    """The metrics of a `Subset`, in the order of the tables → their titles at a target precision."""
    from models.evaluation.metrics import METRICS  # SciPy, which `cma --help` does not need

    return {name: metric.title.format(target=target) for name, metric in METRICS.items()}


def kept_title(target: float) -> str:
    """The title of `Subset.promise_kept` at a target precision."""
    return f"resamples with precision ≥ {target:.0%}"


def with_interval(estimate: Estimate, digits: int = 3) -> str:
    """`0.942 (0.921–0.958)`, or a dash where the metric is undefined (NaN)."""
    if isnan(estimate.value):
        return "–"
    value, low, high = (f"{number:.{digits}f}" for number in (estimate.value, estimate.low, estimate.high))
    return f"{value} ({low}–{high})"


def number_text(value: float | None) -> str:
    """`0.942`; whole numbers above 1 as `17`; a dash for None and NaN."""
    if value is None or value != value:
        return "–"
    return str(int(value)) if value > 1 and float(value).is_integer() else f"{value:.3f}"
