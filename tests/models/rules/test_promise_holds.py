"""Simulations: a promise is broken on no more calibration sets than was agreed."""

from collections.abc import Callable

import numpy as np
import pytest

from models.inputs.arrays import Floats
from models.rules.certify import Evidence, certify, group_thresholds
from models.rules.thresholds import certify_threshold, design_effect, intraclass_correlation
from tests.models.rules.evidence import PROMISE, apart

CURVES: dict[str, Callable[[Floats], Floats]] = {
    "rising": lambda score: 0.4 + 0.6 * score,
    "just too low everywhere": lambda score: np.full_like(score, 0.8999),
    "worse at the top": lambda score: np.where(score > 0.95, 0.85, np.where(score > 0.7, 0.93, 0.7)),
    "wrong at the very top": lambda score: np.where(score > 0.98, 0.5, 0.88 + 0.1 * (score - 0.5)),
}

REPEATS = 1000

MOST_BROKEN = 0.05 + 3 * np.sqrt(0.05 * 0.95 / REPEATS)


@pytest.mark.parametrize("scores", [2001, 8], ids=["no ties", "ties"])
@pytest.mark.parametrize("count", [29, 144, *(pytest.param(count, marks=pytest.mark.slow) for count in (60, 400))])
@pytest.mark.parametrize("curve", CURVES)
def test_the_promise_is_broken_no_more_often_than_agreed(curve: str, count: int, scores: int) -> None:
    """Over 1,000 calibration sets, the true precision at the threshold falls under the target in δ of them at most."""
    random = np.random.default_rng(2)
    score = np.linspace(0.5, 1.0, scores)
    chance = CURVES[curve](score)
    true_precision = chance[::-1].cumsum()[::-1] / np.arange(scores, 0, -1)  # of everything from a score on
    broken = 0
    for _ in range(REPEATS):
        drawn = random.integers(0, scores, count)
        right = random.random(count) < chance[drawn]
        threshold = certify_threshold(score[drawn], right, PROMISE, risk=PROMISE.risk)
        if threshold is not None:
            broken += bool(true_precision[np.searchsorted(score, threshold)] < 0.9)
    assert broken / REPEATS <= MOST_BROKEN


@pytest.mark.parametrize("sizes", ["pairs", "one in five has ten"])
@pytest.mark.parametrize("together", [0.5, 1.0])
@pytest.mark.parametrize("curve", ["rising", "just too low everywhere"])
def test_the_promise_holds_where_listings_of_a_product_stand_or_fall_together(
    curve: str, together: float, sizes: str
) -> None:
    """Products are as sure throughout; in a share of them, all listings are right or all are wrong."""
    random, broken, careless = np.random.default_rng(9), 0, 0
    score = np.linspace(0.5, 1.0, 2001)
    chance = CURVES[curve](score)
    true_precision = chance[::-1].cumsum()[::-1] / np.arange(2001, 0, -1)
    for _ in range(REPEATS // 2):
        size = np.full(150, 2) if sizes == "pairs" else np.where(random.random(110) < 0.2, 10, 1)
        products = np.repeat(np.arange(len(size)), size)
        sure = random.integers(0, 2001, len(size))[products]
        alike = (random.random(len(size)) < together)[products]
        drawn = np.where(alike, random.random(len(size))[products], random.random(len(products)))
        right = drawn < chance[sure]
        correlation = intraclass_correlation(right, products)
        for counted, design in (("once", correlation), ("in full", 0.0)):
            found = Evidence(score[sure], right, products, design).threshold(PROMISE, risk=PROMISE.risk)
            if found is not None and true_precision[np.searchsorted(score, found)] < 0.9:
                broken += counted == "once"
                careless += counted == "in full"
    assert broken / (REPEATS // 2) <= MOST_BROKEN
    assert broken < careless


def test_the_correlation_within_products_by_hand() -> None:
    products = np.array(["a", "a", "b", "b", "c"])
    assert intraclass_correlation(np.array([True, True, False, False, True]), products) == 1.0
    assert intraclass_correlation(np.array([True, False, True, False, True]), products) == 0.0  # less alike than chance
    assert intraclass_correlation(np.ones(5, bool), products) == 1.0  # nobody can tell
    assert intraclass_correlation(np.array([True, False]), np.array(["a", "b"])) == 0.0
    # Pairs: all right, all wrong, and one of each: between 3 groups 1/2, within 1/6, each of 2.
    mixed = intraclass_correlation(np.array([1, 1, 0, 0, 1, 0], bool), np.array([0, 0, 1, 1, 2, 2]))
    assert mixed == pytest.approx((1 / 2 - 1 / 6) / (1 / 2 + 1 / 6))


def test_the_correlation_that_was_drawn_is_found() -> None:
    random = np.random.default_rng(10)
    size = random.geometric(0.5, 20_000)
    products = np.repeat(np.arange(len(size)), size)
    alike = (random.random(len(size)) < 0.3)[products]
    drawn = np.where(alike, random.random(len(size))[products], random.random(len(products)))
    assert intraclass_correlation(drawn < 0.8, products) == pytest.approx(0.3, abs=0.03)


def test_the_design_effect_by_hand() -> None:
    assert design_effect(np.array(["a", "b", "c"]), 1.0) == 1.0
    assert design_effect(np.array(["a", "a", "b", "b"]), 0.5) == 1.5
    assert design_effect(np.array(["a"] * 3 + ["b"]), 1.0) == pytest.approx(10 / 4)
    assert design_effect(np.array([], dtype=str), 1.0) == 1.0


def test_pairs_that_stand_together_count_half() -> None:
    """58 listings of 29 products certify what 29 listings do; 56 of 28 do not."""
    for products, threshold in ((28, None), (29, 0.5)):
        of = np.repeat(np.arange(products), 2)
        confidence = np.linspace(0.99, 0.5, 2 * products)
        evidence = Evidence(confidence, np.ones(2 * products, bool), of, 1.0)
        assert evidence.threshold(PROMISE, risk=0.05) == threshold
    found = certify(evidence, PROMISE, risk=0.05)
    assert (found.listings, found.worth, found.design_effect) == (58, 29, 2.0)
    assert found.precision_bound == pytest.approx(0.05 ** (1 / 29))
    few = certify(evidence.of(of < 10), PROMISE, risk=0.05)
    assert few.labels_needed == 38


def test_it_does_promise_something() -> None:
    random = np.random.default_rng(3)
    confidence = random.uniform(0.5, 1.0, (200, 300))
    right = random.random((200, 300)) < 0.4 + 0.6 * confidence
    found = [certify_threshold(c, r, PROMISE, risk=0.05) for c, r in zip(confidence, right, strict=True)]
    assert sum(threshold is not None for threshold in found) > 70


@pytest.mark.parametrize("scores", [2001, 8], ids=["no ties", "ties"])
@pytest.mark.parametrize("count", [150, 600])
@pytest.mark.parametrize("chances", [(0.8999,) * 4, (0.99, 0.8999, 0.95, 0.6), (0.92, 0.88, 0.91, 0.89)])
def test_by_value_all_groups_keep_the_promise_at_once(chances: tuple[float, ...], count: int, scores: int) -> None:
    """Four values, some of them rare: no group's true precision may be below the target, nor that of all together."""
    random = np.random.default_rng(4)
    chance, shares, broken = np.array(chances), np.array([0.5, 0.3, 0.15, 0.05]), 0
    score = np.linspace(0.5, 1.0, scores)
    for _ in range(REPEATS):
        predicted = random.choice(4, count, p=shares)
        right = random.random(count) < chance[predicted]
        evidence = apart(score[random.integers(0, scores, count)], right)
        found = group_thresholds(predicted, evidence, PROMISE, classes=4)
        accepted = np.array([0.0 if t is None else shares[k] * (score >= t).mean() for k, t in enumerate(found)])
        rare = np.bincount(predicted, minlength=4) < 100
        groups = [*np.diag(accepted)[~rare], accepted * rare, accepted]
        broken += any(group.sum() > 0 and group @ chance / group.sum() < 0.9 for group in groups)
    assert broken / REPEATS <= MOST_BROKEN
