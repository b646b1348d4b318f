"""Certificates of feeds and values: whose labels each is made from."""

import numpy as np
import pytest

from models.engines.interface import Predictions
from models.rules.certificates import Promise
from models.rules.certify import Labelled, calibrate, certificates_of, certify, group_thresholds
from models.rules.thresholds import certify_threshold, labels_needed, lower_bound
from schemas.taxonomy import Taxonomy
from tests.models.rules.evidence import NEVER, PROMISE, apart, with_none

TAXONOMY = Taxonomy.from_dict({"color": {"values": ["red", "green", "blue"]}, "style": {"values": ["maxi", "mini"]}})

COLOR, STYLE = TAXONOMY.attributes


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
    logits = np.tile([[4.0, 0.0, NEVER]], (60, 1)).astype(np.float32)
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
    logits = [(random.normal(size=(len(feeds), a.class_count)) * 4).astype(np.float32) for a in TAXONOMY.attributes]
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
    logits = with_none(logits)
    by_attribute = calibrate(logits, labels, np.arange(400), COLOR, PROMISE, temperature=1.0)
    by_value = calibrate(logits, labels, np.arange(400), COLOR, Promise(by="value"), temperature=1.0)
    assert by_attribute.thresholds == [None] * 3
    assert by_attribute.values == by_value.values and by_value.values["red"].threshold is not None
    assert [threshold is not None for threshold in by_value.thresholds] == [True, False, False]


def test_listings_outside_the_taxonomy_break_a_certificate_unless_they_abstain() -> None:
    """100 listings of a value, and 50 of none: a head that is as sure of these certifies nothing."""
    outside = np.arange(150) >= 100
    labels = np.where(outside, STYLE.none_code, 0)
    closed = np.tile([[4.0, 0.0, NEVER]], (150, 1))
    found = calibrate(closed, labels, np.arange(150), STYLE, PROMISE, temperature=1.0)
    assert found.thresholds == [None, None] and found.certificate.listings == 150
    assert found.certificate.labels_needed is None
    explicit = np.where(outside[:, None], [2.0, 0.0, 4.0], closed)
    found = calibrate(explicit, labels, np.arange(150), STYLE, PROMISE, temperature=1.0)
    assert (found.certificate.accepted, found.certificate.right) == (100, 100)
    assert found.thresholds == [pytest.approx(1 / (1 + np.exp(-4)))] * 2
    made = certificates_of(*[_alone(explicit, labels)] * 2, [STYLE], PROMISE)
    feeds = np.array(["shop"] * 150)
    probabilities = made.probabilities("style", explicit, feeds)
    assert probabilities.shape == (150, 2) and probabilities[-1].sum() < 0.2
    np.testing.assert_array_equal(made.accepted("style", probabilities, feeds), ~outside)


def _alone(logits: np.ndarray, labels: np.ndarray) -> Labelled:
    count = len(labels)
    blank = np.zeros(count, np.float32)
    predictions = Predictions([logits], np.zeros((count, 1), np.float32), [], [], blank, blank)
    return Labelled(predictions, labels[:, None], np.array(["shop"] * count), np.arange(count))
