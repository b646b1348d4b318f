"""Confidence intervals: the percentile bootstrap over products (Efron 1979), and exact binomial ones."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64, Shaped
from scipy.stats import binomtest

from models.evaluation.metrics import METRICS, Outcomes, f1_of_values, measure
from models.evaluation.results import Estimate

RESAMPLES = 1000
LEVEL = 0.95
_CELLS = 1_000_000  # resamples × listings in one block


def resampled(
    outcomes: Outcomes, target_precision: float, *, seed: int = 0
) -> tuple[dict[str, Float64[np.ndarray, " R"]], Float64[np.ndarray, "R C"]]:
    """Every metric in each of R resamples, and the F1 of each of C values."""
    parts, f1 = [], []
    for weights in product_weights(outcomes.products, seed=seed):
        parts.append(measure(outcomes, weights, target_precision))
        f1.append(f1_of_values(outcomes, weights))
    return {name: np.concatenate([part[name] for part in parts]) for name in METRICS}, np.concatenate(f1)


def interval(resamples: Float64[np.ndarray, " R"]) -> tuple[float, float]:
    """The 95 % percentile interval over the resamples in which the metric exists; NaN if it exists in none."""
    defined = resamples[~np.isnan(resamples)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def product_weights(
    products: Shaped[np.ndarray, " N"], *, resamples: int = RESAMPLES, seed: int = 0
) -> Iterator[Float64[np.ndarray, "R N"]]:
    """The weight of each listing in each resample, in blocks of resamples, so that memory stays bounded.

    Products are drawn, each with all its listings: listings of one product are not independent.
    """
    names, index = np.unique(products, return_inverse=True)
    generator = np.random.default_rng(seed)
    block = max(1, _CELLS // len(index))
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=rows)
        yield drawn[:, index].astype(np.float64)


def clopper_pearson(right: int, of: int) -> Estimate:
    """The share `right` / `of` and its exact 95 % interval (Clopper and Pearson 1934); NaN for a share of nothing."""
    if not of:
        return Estimate(float("nan"), float("nan"), float("nan"))
    exact = binomtest(right, of).proportion_ci(LEVEL, method="exact")
    return Estimate(right / of, float(exact.low), float(exact.high))
