import json
import time
from dataclasses import replace
from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from models.evaluation.evaluate import evaluate_attribute
from models.evaluation.intervals import RESAMPLES, clopper_pearson, interval, resampled
from models.evaluation.metrics import Outcomes, evaluate, measure
from models.evaluation.results import RESULTS, Results


def outcomes(count: int, *, classes: int = 4, listings_a_product: int = 1, seed: int = 0) -> Outcomes:
    """Probabilities that are right about two times in three, some tied; raw ones are sharper; two feeds."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    scores = random.normal(size=(count, classes)).round(1)
    scores[np.arange(count), labels] += 1.5
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    raw = probabilities**2 / (probabilities**2).sum(axis=1, keepdims=True)
    present = np.ones((count, 2), dtype=bool)
    present[: count // 4, 0] = False
    return Outcomes(
        labels=labels,
        raw_probabilities=raw,
        probabilities=probabilities,
        accepted=probabilities.max(axis=1) >= 0.7,
        image_weight=random.random(count),
        present=present,
        feeds=np.where(np.arange(count) % 3 == 0, "hm", "myntra"),
        products=np.arange(count) // listings_a_product,
    )


@settings(max_examples=60)
@given(st.integers(2, 30), st.integers(0, 10_000), st.sampled_from([0.5, 2 / 3, 0.9]), st.data())
def test_a_weight_of_n_counts_a_listing_n_times(count: int, seed: int, target: float, data: st.DataObject) -> None:
    """A weighted metric is that of listings which are written out as often as they weigh."""
    whole = outcomes(count, seed=seed)
    times = np.array(data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count).filter(any)))
    weighted = measure(whole, times[None].astype(float), target)
    written_out = evaluate(whole.take(np.repeat(np.arange(count), times)), target)
    for name, values in weighted.items():
        value = written_out[name]
        assert values[0] == pytest.approx(value, abs=1e-12, nan_ok=True), name


def test_the_interval_of_a_share_is_the_binomials() -> None:
    whole = outcomes(400)
    share = whole.right.mean()
    low, high = interval(resampled(whole, 0.9)[0]["accuracy"])
    spread = 1.96 * np.sqrt(share * (1 - share) / 400)
    assert low == pytest.approx(share - spread, abs=0.012)
    assert high == pytest.approx(share + spread, abs=0.012)


def test_listings_of_one_product_are_drawn_together() -> None:
    """Four copies of each listing say no more than one: only a bootstrap over products knows."""
    once = outcomes(200)
    copied = once.take(np.repeat(np.arange(200), 4))
    width = np.ptp(interval(resampled(once, 0.9)[0]["recall_oracle"]))
    assert np.ptp(interval(resampled(copied, 0.9)[0]["recall_oracle"])) == pytest.approx(width, rel=0.15)
    as_if_apart = Outcomes(**{**copied.__dict__, "products": np.arange(800)})
    assert np.ptp(interval(resampled(as_if_apart, 0.9)[0]["recall_oracle"])) < 0.7 * width


def test_recall_at_precision_is_optimised_in_each_resample() -> None:
    """By hand: 9 right and 1 wrong at the top reach 90 % together; one that draws the wrong one twice does not."""
    probabilities = np.stack([np.linspace(0.99, 0.9, 10), np.linspace(0.01, 0.1, 10)], axis=1)
    labels = np.array([0] * 9 + [1])
    whole = Outcomes(
        labels,
        probabilities,
        probabilities,
        np.ones(10, bool),
        np.ones(10),
        np.ones((10, 2), bool),
        np.array(["shop"] * 10),
        np.arange(10),
    )
    weights = np.ones((3, 10))
    weights[1] = [1, 1, 1, 1, 1, 1, 1, 1, 0, 2]  # 8 right, then 2 wrong: the threshold moves up
    weights[2] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 10]
    metrics = measure(whole, weights, 0.9)
    np.testing.assert_allclose(metrics["recall_oracle"], [0.9, 0.8, 0.0])
    np.testing.assert_allclose(metrics["recall"], [0.9, 0.8, 0.0])


def test_resamples_are_seeded_and_of_whole_size() -> None:
    first, again = (resampled(outcomes(50), 0.9, seed=3)[0]["brier"] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert len(first) == RESAMPLES
    assert not np.array_equal(first, resampled(outcomes(50), 0.9, seed=4)[0]["brier"])


def test_an_interval_leaves_out_undefined_resamples() -> None:
    assert interval(np.array([np.nan, 0.5, 0.5])) == (0.5, 0.5)
    assert all(isnan(end) for end in interval(np.array([np.nan, np.nan])))


@pytest.mark.parametrize(("right", "of"), [(0, 5), (29, 29), (7, 10), (119, 132)])
def test_clopper_pearson_is_the_exact_test(right: int, of: int) -> None:
    expected = binomtest(right, of).proportion_ci(0.95, method="exact")
    found = clopper_pearson(right, of)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert found.value == right / of


VALUES = ["red", "green", "blue", "never seen"]


def test_an_attribute_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1, 0, 0], [0.2, 0.8, 0, 0], [0.6, 0.4, 0, 0], [0.1, 0.2, 0.7, 0]])
    whole = Outcomes(
        labels=np.array([0, 1, 1, 2]),
        raw_probabilities=probabilities,
        probabilities=probabilities,
        accepted=np.array([True, True, False, True]),
        image_weight=np.array([0.0, 1.0, 0.5, 0.5]),
        present=np.ones((4, 2), dtype=bool),
        feeds=np.array(["shop"] * 4),
        products=np.array(["a", "a", "b", "c"]),
    )
    found = evaluate_attribute(whole, VALUES, target_precision=0.9)
    assert found.confusion == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert (found.overall.labelled, found.overall.outside, found.overall.products) == (4, 0, 3)
    metrics = {name: estimate.value for name, estimate in found.overall.metrics.items()}
    assert metrics["accuracy"] == metrics["recall"] == metrics["coverage"] == metrics["recall_oracle"] == 0.75
    assert (metrics["precision"], metrics["top2_accuracy"], metrics["image_weight"]) == (1.0, 1.0, 0.5)
    assert metrics["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert metrics["brier"] == pytest.approx((0.02 + 0.08 + 0.72 + 0.14) / 4)
    red, green, _, never = found.values
    assert (red.labelled, red.predicted, red.accepted) == (1, 2, 1)
    assert (red.precision.value, red.recall.value, red.accepted_precision.value) == (0.5, 1.0, 1.0)
    assert (green.precision.value, green.recall.value, green.accepted_recall.value) == (1.0, 0.5, 0.5)
    assert green.recall.low == pytest.approx(0.0126, abs=1e-3)
    assert red.f1.value == pytest.approx(2 / 3)
    assert isnan(never.precision.value) and isnan(never.f1.low) and never.labelled == 0
    assert [(point.coverage, point.precision) for point in found.curve] == [
        (0.25, 1.0),
        (0.5, 1.0),
        (0.75, 1.0),
        (1.0, 0.75),
    ]
    assert found.curve[2].threshold == 0.7
    assert found.feeds == found.kinds == {}  # one feed, one kind: the whole again


def test_how_often_the_promise_is_kept() -> None:
    whole = outcomes(400)
    found = evaluate_attribute(whole, VALUES, target_precision=0.9).overall
    drawn = resampled(whole, 0.9)[0]["precision"]
    assert 0 < found.promise_kept < 1 and found.promise_kept == (drawn >= 0.9).mean()
    third = np.where(np.arange(400) % 3, whole.labels, len(VALUES))
    outside = evaluate_attribute(replace(whole, labels=third), VALUES, target_precision=0.9)
    assert (outside.overall.outside, outside.overall.promise_kept) == (134, 0.0)
    assert sum(map(sum, outside.confusion)) == 400 - 134 and sum(row.labelled for row in outside.values) == 400 - 134
    assert sum(row.predicted for row in outside.values) == 400


def test_reliability_and_confusion_account_for_every_listing() -> None:
    whole = outcomes(700)
    found = evaluate_attribute(whole, VALUES, target_precision=0.9)
    assert sum(map(sum, found.confusion)) == sum(part.listings for part in found.reliability) == 700
    gap = sum(part.listings * abs(part.confidence - part.accuracy) for part in found.reliability) / 700
    assert found.overall.metrics["ece"].value == pytest.approx(gap)
    assert all(part.low <= part.confidence <= part.high for part in found.reliability)
    assert found.overall.metrics["ece_raw"].value != found.overall.metrics["ece"].value
    assert len(found.curve) <= 200 and found.curve[-1].coverage == 1.0


def test_large_enough_feeds_and_kinds_are_evaluated_separately() -> None:
    found = evaluate_attribute(outcomes(160), VALUES, target_precision=0.9)
    assert {name: part.labelled for name, part in found.feeds.items()} == {"hm": 54, "myntra": 106}
    assert {name: part.labelled for name, part in found.kinds.items()} == {"picture and title": 120}  # 40 titles only
    hm = outcomes(160).take(np.arange(160) % 3 == 0)
    assert found.feeds["hm"].metrics["accuracy"].value == pytest.approx(hm.right.mean())


def test_results_survive_strict_json() -> None:
    whole = outcomes(120)
    nothing_accepted = Outcomes(**{**whole.__dict__, "accepted": np.zeros(120, bool)})
    results = Results(
        "test",
        {"hm": 40, "myntra": 80},
        0.9,
        {"color": evaluate_attribute(nothing_accepted, VALUES, target_precision=0.9)},
    )
    text = json.dumps(results.to_dict(), allow_nan=False)
    back = RESULTS.validate_python(json.loads(text))
    assert isnan(back.attributes["color"].overall.metrics["precision"].value)
    assert back.to_dict() == results.to_dict()
    assert repr(back) == repr(results)  # in which NaN equals NaN
    assert back.listings == 120


@pytest.mark.slow
def test_the_bootstrap_is_fast() -> None:
    """4,000 listings and three attributes, every feed and kind: under 10 s."""
    start = time.process_time()
    for seed in range(3):
        evaluate_attribute(
            outcomes(4000, classes=21, listings_a_product=2, seed=seed), ["v"] * 21, target_precision=0.9
        )
    assert time.process_time() - start < 20  # ten on an idle core, and as much again for a busy one
