"""Which confidences keep a promised precision: the lowest threshold that labelled listings certify.

Learn-then-Test (Angelopoulos et al. 2021): thresholds are hypotheses, tested from the highest down by the exact
binomial test, in the fallback procedure of Wiens (2003). `design_effect`: so many listings count as one independent one
(design_effect.py); the test is exact at 1.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Shaped
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv

from models.rules.certificates import Bools, Floats, Ints, Promise

_FIRST, _SECOND = 0.2, 0.5  # of the listings, the most confident first: where risk is spent
_PLACES = 50  # that are tested at most
_MOST_LABELS = 1_000_000  # more are as good as never


def certify_threshold(
    confidence: Floats, right: Bools, promise: Promise, *, risk: float, design_effect: float = 1.0
) -> float | None:
    """With probability 1 − `risk` over the N listings drawn, the threshold's precision is above the target.

    The risk is spent at two places, one high and one in the middle: what a place has is passed on to the next lower
    one as long as tests succeed, and is lost where one fails (Wiens' fallback procedure). So a few wrong labels at the
    top do not end everything. The places depend on how many listings there are, and on the design effect.

    Why it holds: a false threshold is tested with no more than the risks spent since the last false one that failed,
    so the chances of wrongly passing a first one add up to `risk` at most, however the tests depend on each other.
    """
    order = np.argsort(-confidence, kind="stable")
    ranked, hits = confidence[order], np.cumsum(right[order], dtype=np.intp)
    places, spent = _places(len(right), promise, risk, design_effect)
    # The deployed rule accepts all of equal confidence, so all of them are tested together.
    reached = np.searchsorted(-ranked, -ranked[places - 1], side="right")
    passed = _walk(_p_values(hits[reached - 1], reached, promise.target_precision, design_effect), spent)
    return float(ranked[places - 1][passed].min()) if passed.any() else None


def labels_needed(
    confidence: Floats, right: Bools, promise: Promise, *, risk: float, design_effect: float = 1.0
) -> int | None:
    """How many more labelled listings would certify something, were the precision of every share of the most confident
    what it is here (with nothing seen: never wrong). None where a million would not do."""
    if not len(right):
        return promise.fewest(risk)
    order = np.argsort(-confidence, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(confidence[order])), len(right) - 1)
    precision, shares = (np.cumsum(right[order]) / np.arange(1, len(right) + 1))[ends], (ends + 1) / len(right)
    if precision.max() <= promise.target_precision:
        return None
    count = max(len(right) + 1, promise.fewest(risk, design_effect=design_effect))
    while count <= _MOST_LABELS:
        places, spent = _places(count, promise, risk, design_effect)
        end = np.searchsorted(shares, places / count - 1e-9)  # of the tie that the place lies in
        reached = np.maximum(places, np.round(shares[end] * count).astype(np.intp))
        hits = np.floor(precision[end] * reached + 1e-9)
        if _walk(_p_values(hits, reached, promise.target_precision, design_effect), spent).any():
            return count - len(right)
        count = max(count + 1, int(count * 1.05))
    return None


def lower_bound(right: int, of: int, risk: float, *, design_effect: float = 1.0) -> float:
    """Of a precision (Clopper–Pearson, one-sided)."""
    return float(betaincinv(right / design_effect, (of - right) / design_effect + 1, risk)) if right else 0.0


def _p_values(hits: Ints, of: Ints, target: float, design_effect: float) -> Floats:
    """The chance that a precision of `target` gives so many hits or more."""
    return np.where(hits > 0, betainc(np.maximum(hits, 1) / design_effect, (of - hits) / design_effect + 1, target), 1)


@lru_cache(maxsize=1024)
def _places(count: int, promise: Promise, risk: float, design_effect: float) -> tuple[NDArray[np.intp], Floats]:
    """Of `count` listings, the numbers of most confident ones that are tested, and the risk spent at each."""
    middle = round(_SECOND * count)
    first = max(promise.fewest(risk / 2, design_effect=design_effect), round(_FIRST * count))
    two = middle >= 2 * first
    if not two:  # with few listings, half the risk costs more than a second chance gains
        first = promise.fewest(risk, design_effect=design_effect)
    if first > count:
        return np.array([], dtype=np.intp), np.array([])
    places = np.unique(np.linspace(first, count, _PLACES).round().astype(np.intp))
    spent = np.zeros(len(places))
    spent[0] = risk / 2 if two else risk
    if two:
        spent[np.searchsorted(places, middle)] += risk / 2
    return places, spent


def _walk(p_values: Floats, spent: Floats) -> Bools:
    """Which hypotheses, in their order, the fallback procedure rejects."""
    passed, at_hand = np.zeros(len(p_values), dtype=bool), 0.0
    for place, (p_value, risk) in enumerate(zip(p_values.tolist(), spent.tolist(), strict=True)):
        at_hand += risk
        passed[place] = at_hand > 0 and p_value <= at_hand
        if not passed[place]:
            at_hand = 0.0
    return passed


def intraclass_correlation(right: Bool[np.ndarray, " N"], products: Shaped[np.ndarray, " N"]) -> float:
    """ρ, 0 to 1, by analysis of variance; 1 where nobody can tell, because none or all of the listings are right."""
    _, product, sizes = np.unique(products, return_inverse=True, return_counts=True)
    count, groups = len(right), len(sizes)
    if count == groups:
        return 0.0  # of no consequence: no product has two
    shares = np.bincount(product, weights=right) / sizes
    between = (sizes * (shares - right.mean()) ** 2).sum() / max(groups - 1, 1)
    within = (sizes * shares * (1 - shares)).sum() / (count - groups)
    typical = (count - (sizes**2).sum() / count) / max(groups - 1, 1)
    whole = between + (typical - 1) * within
    return float(np.clip((between - within) / whole, 0, 1)) if whole > 0 else 1.0


def design_effect(products: Shaped[np.ndarray, " N"], correlation: float) -> float:
    """1 where every listing counts in full; N of one product that stand or fall together have N, and count as one."""
    sizes = np.unique(products, return_counts=True)[1]
    return 1 + float((sizes**2).sum() / sizes.sum() - 1) * correlation if len(sizes) else 1.0
