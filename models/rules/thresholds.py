"""Certifies thresholds: the lowest confidence at which labelled listings prove the promised precision.

Learn-then-Test (Angelopoulos et al. 2021): thresholds are hypotheses, tested from the highest down by the exact
binomial test, in the fallback procedure of Wiens (2003). The test is exact at a `design_effect` of 1
(independent listings); above it, that many listings count as one.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Shaped
from scipy.special import betainc, betaincinv

from models.inputs.arrays import Bools, Floats, Ints
from models.rules.certificates import Promise

# Half of δ is spent on the threshold that accepts the top 20 % by confidence, half on the one that accepts 50 %.
_FIRST, _SECOND = 0.2, 0.5
_PLACES = 50  # thresholds tested at most
_MOST_LABELS = 1_000_000  # nobody labels more


def certify_threshold(
    confidence: Floats, right: Bools, promise: Promise, *, risk: float, design_effect: float = 1.0
) -> float | None:
    """The lowest threshold certified on N listings, (N,) confidences and which of them are right; None: there is none.
    With probability 1 − `risk` over the listings drawn, tags at or above it have at least the target precision.

    The risk is spent at two places, one high and one in the middle. A test that succeeds passes its risk on to the next
    lower place, a test that fails loses it (Wiens' fallback procedure), so a few wrong labels at the top do not end the
    search. The places depend only on the number of listings and the design effect.

    Proof: a false threshold is tested with no more than the risks spent since the last false one that failed, so the
    chances of wrongly passing a first one add up to `risk` at most, however the tests depend on each other.
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
    """The number of further labelled listings that would certify a threshold if precision at every coverage stayed what
    it is on these N listings (without any listing: 1). None where a million would not."""
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
        end = np.searchsorted(shares, places / count - 1e-9)  # the end of the tie that the place lies in
        reached = np.maximum(places, np.round(shares[end] * count).astype(np.intp))
        hits = np.floor(precision[end] * reached + 1e-9)
        if _walk(_p_values(hits, reached, promise.target_precision, design_effect), spent).any():
            return count - len(right)
        count = max(count + 1, int(count * 1.05))
    return None


def lower_bound(right: int, of: int, risk: float, *, design_effect: float = 1.0) -> float:
    """The one-sided lower bound (Clopper–Pearson) of a precision, with `right` of `of` tags right."""
    return float(betaincinv(right / design_effect, (of - right) / design_effect + 1, risk)) if right else 0.0


def _p_values(hits: Ints, of: Ints, target: float, design_effect: float) -> Floats:
    """The probability of at least `hits` hits under a precision of `target` (exact binomial test)."""
    return np.where(hits > 0, betainc(np.maximum(hits, 1) / design_effect, (of - hits) / design_effect + 1, target), 1)


@lru_cache(maxsize=1024)
def _places(count: int, promise: Promise, risk: float, design_effect: float) -> tuple[Ints, Floats]:
    """The tests on `count` listings: how many of the most confident each accepts, and the risk spent on it."""
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
    """Which hypotheses, tested in order, the fallback procedure rejects."""
    passed, available = np.zeros(len(p_values), dtype=bool), 0.0
    for place, (p_value, risk) in enumerate(zip(p_values.tolist(), spent.tolist(), strict=True)):
        available += risk
        passed[place] = available > 0 and p_value <= available
        if not passed[place]:
            available = 0.0
    return passed


def intraclass_correlation(right: Bool[np.ndarray, " N"], products: Shaped[np.ndarray, " N"]) -> float:
    """The correlation ρ of being right among listings of a product, 0 to 1, by analysis of variance. 1 where none or
    all of the N listings are right, since that says nothing about it."""
    _, product, sizes = np.unique(products, return_inverse=True, return_counts=True)
    count, groups = len(right), len(sizes)
    if count == groups:
        return 0.0  # no product has two listings
    shares = np.bincount(product, weights=right) / sizes
    between = (sizes * (shares - right.mean()) ** 2).sum() / max(groups - 1, 1)
    within = (sizes * shares * (1 - shares)).sum() / (count - groups)
    typical = (count - (sizes**2).sum() / count) / max(groups - 1, 1)
    whole = between + (typical - 1) * within
    return float(np.clip((between - within) / whole, 0, 1)) if whole > 0 else 1.0


def design_effect(products: Shaped[np.ndarray, " N"], correlation: float) -> float:
    """The number of listings that count as one independent listing: 1 where listings are uncorrelated, N where all N
    are of one product and ρ is 1."""
    sizes = np.unique(products, return_counts=True)[1]
    return 1 + float((sizes**2).sum() / sizes.sum() - 1) * correlation if len(sizes) else 1.0
