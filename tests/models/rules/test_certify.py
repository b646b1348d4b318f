from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from models.engines.interface import Predictions
from models.rules.certificates import Promise
from models.rules.certify import Evidence, Labelled, calibrate, certificates_of, certify, group_thresholds
from models.rules.thresholds import certify_threshold, design_effect, intraclass_correlation, labels_needed, lower_bound
from schemas.taxonomy import Taxonomy

Floats = NDArray[np.floating]

PROMISE = Promise()
TAXONOMY = Taxonomy.from_dict({"color": {"values": ["red", "green", "blue"]}, "style": {"values": ["maxi", "mini"]}})
COLOR, STYLE = TAXONOMY.attributes


def apart(confidence: Floats, right: NDArray[np.bool_]) -> Evidence:
    """Each listing is of a product of its own."""
    return Evidence(confidence, right, np.arange(len(right)), 0.0)


def certified(right: list[bool], confidence: list[float] | None = None) -> float | None:
    confidence = confidence or np.linspace(0.99, 0.5, len(right)).tolist()
    return certify_threshold(np.array(confidence), np.array(right, dtype=bool), PROMISE, risk=PROMISE.risk)


def test_twenty_nine_of_twenty_nine_certify_ninety_percent() -> None:
    assert certified([True] * 28) is None
    assert certified([True] * 29) == 0.5
    assert certified([True] * 28 + [False]) is None
    assert certified([]) is None
    assert certified([False] * 500) is None


@pytest.mark.parametrize("count", [29, 59, 60, 72, 73, 100, 143, 144, 145, 1000, 5001])
def test_so_many_right_and_none_wrong_are_accepted_to_the_last(count: int) -> None:
    assert certified([True] * count) == 0.5


def test_one_mistake_needs_forty_six() -> None:
    """0.9ⁿ + n·0.1·0.9ⁿ⁻¹ falls to 0.05 at n = 46."""
    assert certified([False] + [True] * 44) is None
    assert certified([False] + [True] * 45) is None  # the walk stops at its first step, 29 with one mistake
    assert certified([True] * 29 + [False] + [True] * 16) == 0.99 - 0.49 * 28 / 45


def test_mistakes_at_the_top_leave_the_second_start() -> None:
    """Of 300, the walk from 60 fails at once; that from 150 has half the risk and goes on."""
    assert certified([False] * 4 + [True] * 296) == 0.5
    assert certified([False] * 30 + [True] * 270) is None


def test_risk_that_was_not_lost_is_passed_on() -> None:
    """At the second start, 145 of 153 right have a p-value of 0.026: above the 0.025 spent there, below all 0.05."""
    assert certified([True] * 145 + [False] * 155) == 0.99 - 0.49 * 152 / 299
    assert certified([False] * 8 + [True] * 145 + [False] * 147) is None  # the first start failed, and lost its half


def test_nothing_is_certified_below_the_target() -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        assert certified((np.arange(500) % 20 < 16).tolist(), random.random(500).tolist()) is None


def test_ties_stand_or_fall_together() -> None:
    """The deployed rule accepts all of equal confidence, so all of them are tested."""
    mixed = [True] * 40 + [False] * 10
    assert certified(mixed, [0.8] * 50) is None
    assert certified([True] * 50, [0.8] * 50) == 0.8
    assert certified([True] * 29 + [True] * 11 + [False] * 10, [0.9] * 29 + [0.8] * 21) == 0.9


CURVES: dict[str, Callable[[Floats], Floats]] = {
    "rising": lambda score: 0.4 + 0.6 * score,
    "just too low everywhere": lambda score: np.full_like(score, 0.8999),
    "worse at the top": lambda score: np.where(score > 0.95, 0.85, np.where(score > 0.7, 0.93, 0.7)),
    "wrong at the very top": lambda score: np.where(score > 0.98, 0.5, 0.88 + 0.1 * (score - 0.5)),
}
REPEATS = 1000
MOST_BROKEN = 0.05 + 3 * np.sqrt(0.05 * 0.95 / REPEATS)


@pytest.mark.parametrize("scores", [2001, 8], ids=["no ties", "ties"])
@pytest.mark.parametrize("count", [29, 60, 144, 400])
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


def test_values_are_groups_of_their_own_from_a_hundred_predictions_on() -> None:
    predicted = np.repeat([0, 1, 2], [200, 99, 40])
    right = np.repeat([False, True, True], [200, 99, 40])
    confidence = np.linspace(0.99, 0.6, 339)
    thresholds = group_thresholds(predicted, apart(confidence, right), PROMISE, classes=4)
    rest = float(confidence[-1])
    assert thresholds == [None, rest, rest, rest]  # the last value was never predicted
    assert group_thresholds(predicted[:0], apart(confidence[:0], right[:0]), PROMISE, classes=4) == [None] * 4


def test_a_certificate_by_hand() -> None:
    confidence, right = np.linspace(0.99, 0.5, 46), np.array([True] * 29 + [False] + [True] * 16)
    found = certify(apart(confidence, right), PROMISE, risk=0.05)
    assert (found.listings, found.accepted, found.right, found.labels_needed) == (46, 29, 29, 0)
    assert found.precision_bound == pytest.approx(0.05 ** (1 / 29))  # all right: pⁿ = δ
    nothing = certify(apart(confidence, ~right), PROMISE, risk=0.05)
    assert (nothing.threshold, nothing.accepted, nothing.right, nothing.precision_bound) == (None, 0, 0, None)


def test_the_lower_bound_of_a_precision() -> None:
    """The paper's 132 test pairs with 13 errors certify 84.8 % at 95 %."""
    assert lower_bound(119, 132, 0.05) == pytest.approx(0.848, abs=5e-4)
    assert lower_bound(0, 10, 0.05) == 0.0


def test_labels_needed() -> None:
    def needed(right: list[bool], confidence: list[float] | None = None) -> int | None:
        confidence = confidence or np.linspace(0.99, 0.5, len(right)).tolist()
        return labels_needed(np.array(confidence), np.array(right, dtype=bool), PROMISE, risk=0.05)

    assert needed([]) == 29
    assert needed([True] * 20) == 9
    assert needed([False] * 20) is None
    assert needed([True, False] * 100) is None
    assert needed(([True] * 9 + [False]) * 10, [0.8] * 100) is None  # exactly the target, however many
    assert needed(([True] * 19 + [False]) * 3, [0.8] * 60) == 57  # 111 of 117 right, a p-value of 0.046


def test_with_as_many_labels_as_were_needed_about_half_of_the_sets_certify() -> None:
    random, share = np.random.default_rng(5), []
    right = ([True] * 19 + [False]) * 2
    more = labels_needed(np.full(40, 0.8), np.array(right), PROMISE, risk=0.05)
    assert more is not None
    for _ in range(400):
        again = random.random(40 + more) < 0.95
        share.append(certify_threshold(np.full(40 + more, 0.8), again, PROMISE, risk=0.05) is not None)
    assert 0.3 < np.mean(share) < 0.8


def test_calibrate_leaves_out_what_has_no_label() -> None:
    logits = np.tile([[4.0, 0.0]], (60, 1)).astype(np.float32)
    labels = np.where(np.arange(60) < 30, 0, -1)
    found = calibrate(logits, labels, np.arange(60), STYLE, PROMISE, temperature=2.0)
    score = 1 / (1 + np.exp(-2))
    assert found.temperature == 2.0 and found.certificate.listings == 30
    assert found.thresholds == [pytest.approx(score)] * 2
    assert found.ece_after == pytest.approx(1 - score) and found.ece_before == pytest.approx(1 - 1 / (1 + np.exp(-4)))
    assert list(found.values) == ["maxi"] and found.values["maxi"].listings == 30
    assert found.confidences == [pytest.approx(score)] * 30
    nothing = calibrate(logits, np.full(60, -1), np.arange(60), STYLE, PROMISE, temperature=2.0)
    assert nothing.thresholds == [None, None] and not nothing.certified
    assert (nothing.ece_before, nothing.ece_after, nothing.confidences) == (None, None, [])


def labelled(feeds: list[str], random: np.random.Generator, *, sharpness: dict[str, float]) -> Labelled:
    """Logits whose truth has the feed's temperature 1 / sharpness; `style` is labelled in the first feed only."""
    names = np.array(feeds)
    logits = [(random.normal(size=(len(feeds), len(a.values))) * 4).astype(np.float32) for a in TAXONOMY.attributes]
    labels = np.full((len(feeds), 2), -1)
    for k, task in enumerate(logits):
        scale = np.array([sharpness[feed] for feed in feeds])[:, None]
        noise = random.gumbel(size=task.shape)  # the argmax of logits plus Gumbel noise is a draw from their softmax
        labels[:, k] = (task * scale + noise).argmax(axis=1)
    labels[names != feeds[0], 1] = -1
    blank = np.zeros(len(feeds), np.float32)
    predictions = Predictions(logits, np.zeros((len(feeds), 2), np.float32), [], [], blank, blank)
    return Labelled(predictions, labels, names, np.arange(len(feeds)))


def test_each_feed_is_calibrated_by_its_own_labels() -> None:
    random, sharpness = np.random.default_rng(6), {"a": 1.0, "b": 0.4, "few": 1.0}
    validation = labelled(["a"] * 3000 + ["b"] * 3000 + ["few"] * 150, random, sharpness=sharpness)
    calibration = labelled(["a"] * 1000 + ["b"] * 1000 + ["few"] * 20, random, sharpness=sharpness)
    made = certificates_of(validation, calibration, TAXONOMY.attributes, PROMISE)
    assert {feed: list(own) for feed, own in made.feeds.items()} == {
        **{"a": ["color", "style"]},
        **{"b": ["color"], "few": ["color"]},
    }
    temperature = {feed: own["color"].temperature for feed, own in made.feeds.items()}
    assert temperature["a"] == pytest.approx(1.0, rel=0.15) and temperature["b"] == pytest.approx(2.5, rel=0.15)
    assert temperature["few"] == made.pooled["color"].temperature  # 150 labels are too few for one of its own
    assert made.feeds["a"]["color"].certified
    assert not made.feeds["few"]["color"].certified and made.feeds["few"]["color"].certificate.listings == 20
    assert made.pooled["color"].certificate.listings == 2020 and len(made.feeds["a"]["color"].confidences) == 200
    b = made.feeds["b"]["color"]
    assert b.ece_after is not None and b.ece_before is not None and b.ece_after < b.ece_before / 2


def test_some_feeds_alone_lean_on_what_is_known_of_all() -> None:
    random, sharpness = np.random.default_rng(7), {"a": 1.0, "new": 0.5}
    known = certificates_of(
        *(labelled(["a"] * 500, random, sharpness=sharpness) for _ in range(2)), TAXONOMY.attributes, PROMISE
    )
    new = [labelled(["new"] * 100, random, sharpness=sharpness) for _ in range(2)]
    made = certificates_of(*new, TAXONOMY.attributes, PROMISE, pooled=known.pooled)
    assert made.pooled == known.pooled and list(made.feeds) == ["new"]
    assert made.feeds["new"]["color"].temperature == known.pooled["color"].temperature


def test_by_value_an_easy_value_is_accepted_where_the_attribute_is_not() -> None:
    """Red is always right, green never better than a coin: together they are too bad at every threshold."""
    random = np.random.default_rng(8)
    red = np.arange(400) % 2 == 0
    logits = np.where(red[:, None], [3.0, 0.0, -3.0], [0.0, 3.0, -3.0]) + random.normal(0, 0.1, (400, 3))
    labels = np.where(red | (random.random(400) < 0.5), logits.argmax(axis=1), 2)
    by_attribute = calibrate(logits, labels, np.arange(400), COLOR, PROMISE, temperature=1.0)
    by_value = calibrate(logits, labels, np.arange(400), COLOR, Promise(by="value"), temperature=1.0)
    assert by_attribute.thresholds == [None] * 3
    assert by_attribute.values == by_value.values and by_value.values["red"].threshold is not None
    assert [threshold is not None for threshold in by_value.thresholds] == [True, False, False]
