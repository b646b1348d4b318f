from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from models.evaluation import metrics
from models.evaluation.metrics import Outcomes, each_once, evaluate
from models.rules.calibration import expected_calibration_error


def recall_at_precision(confidence: np.ndarray, right: np.ndarray, target: float) -> float:
    return float(metrics.recall_at_precision(confidence, right, each_once(len(right)), target)[0])


def area_under_risk_coverage(confidence: np.ndarray, right: np.ndarray) -> float:
    return float(metrics.area_under_risk_coverage(confidence, right, each_once(len(right)))[0])


@pytest.mark.parametrize(
    ("target", "recall"),
    [(1.0, 0.4), (0.75, 0.6), (0.7, 0.6), (0.6, 0.6), (0.0, 0.6)],
)
def test_recall_at_precision_by_hand(target: float, recall: float) -> None:
    confidence, right = np.array([0.6, 0.9, 0.7, 0.8, 0.5]), np.array([True, True, False, True, False])
    assert recall_at_precision(confidence, right, target) == recall


def test_a_threshold_cannot_cut_through_a_tie() -> None:
    assert recall_at_precision(np.array([0.9, 0.9]), np.array([True, False]), 0.9) == 0.0


def test_a_recall_of_no_listings_does_not_exist() -> None:
    assert isnan(recall_at_precision(np.array([]), np.array([], dtype=bool), 0.9))


@given(
    st.lists(st.tuples(st.sampled_from([0.2, 0.4, 0.5, 0.8, 0.9, 1.0]), st.booleans()), min_size=1, max_size=40),
    st.sampled_from([0.5, 0.57, 2 / 3, 0.9, 1.0]),
)
def test_recall_at_precision_is_the_best_of_all_thresholds(listings: list[tuple[float, bool]], target: float) -> None:
    best = 0.0
    for threshold, _ in listings:
        accepted = [right for confidence, right in listings if confidence >= threshold]
        if sum(accepted) / len(accepted) >= target:
            best = max(best, sum(accepted) / len(listings))
    confidence, right = (np.array(column) for column in zip(*listings, strict=True))
    assert recall_at_precision(confidence, right, target) == best


def test_area_under_risk_coverage_by_hand() -> None:
    confidence, right = np.array([0.6, 0.9, 0.6, 0.8]), np.array([False, True, True, False])
    # 0.9: none of 1 is wrong; 0.8: 1 of 2; both of the tie at 0.6: 2 of 4
    assert area_under_risk_coverage(confidence, right) == pytest.approx((0 + 1 / 2 + 2 / 4 + 2 / 4) / 4)
    assert area_under_risk_coverage(confidence, np.ones(4, bool)) == 0.0


def test_expected_calibration_error_by_hand() -> None:
    # two bins: {0.6, 0.8} of which one is right, gap 0.2; {0.3} wrong, gap 0.3
    confidence, right = np.array([0.6, 0.8, 0.3]), np.array([True, False, False])
    assert expected_calibration_error(confidence, right, each_once(3), bins=2)[0] == pytest.approx((2 * 0.2 + 0.3) / 3)
    assert expected_calibration_error(np.array([1.0, 1.0]), np.array([True, True]), each_once(2))[0] == 0.0


PROBABILITIES = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])


def outcomes_of(labels: list[int], accepted: np.ndarray) -> Outcomes:
    known = np.array(labels) >= 0
    every = Outcomes(
        labels=np.array(labels),
        raw_probabilities=PROBABILITIES,
        probabilities=PROBABILITIES,
        accepted=accepted,
        image_weight=np.full(4, 0.5),
        present=np.ones((4, 2), dtype=bool),
        feeds=np.array(["shop"] * 4),
        products=np.arange(4),
    )
    return every.take(known)


def test_evaluate_by_hand() -> None:
    found = evaluate(outcomes_of([0, 1, 1, -1], PROBABILITIES.max(1) >= 0.8), 0.9)
    assert (found["labelled"], found["precision"]) == (3, 1.0)
    two_thirds = [found[name] for name in ("accuracy", "recall", "recall_oracle", "coverage", "macro_f1")]
    assert two_thirds == [pytest.approx(2 / 3)] * 5


def test_a_listing_outside_the_taxonomy_makes_every_tag_wrong() -> None:
    """By hand: 0.9 right, 0.8 right, then 0.7 of a listing with none of the values, and 0.6 wrong."""
    found = evaluate(outcomes_of([0, 1, 1, 2], np.array([True, True, False, True])), 0.6)
    assert (found["labelled"], found["outside"], found["outside_accepted"]) == (4, 1, 1.0)
    assert (found["precision"], found["coverage"]) == (pytest.approx(2 / 3), 0.75)
    two_thirds = [found[name] for name in ("accuracy", "recall", "recall_oracle", "macro_f1")]
    assert two_thirds == [pytest.approx(2 / 3)] * 4 and found["top2_accuracy"] == 1.0
    # risks 0, 0, 1/3 and 2/4 at the four thresholds
    assert found["aurc"] == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)
    assert found["ece"] == pytest.approx((0.1 + 0.2 + 0.7 + 0.6) / 4)
    assert found["brier"] == pytest.approx((0.02 + 0.08 + 0.72 + (0.49 + 0.09 + 1)) / 4)


def test_evaluate_where_nothing_is_accepted_or_labelled() -> None:
    nothing = evaluate(outcomes_of([0, 1, 1, 0], np.zeros(4, bool)), 0.9)
    assert (nothing["coverage"], nothing["recall"]) == (0.0, 0.0) and isnan(nothing["precision"])
    assert nothing["recall_oracle"] == 0.75
    unknown = evaluate(outcomes_of([-1] * 4, np.ones(4, bool)), 0.9)
    assert unknown["labelled"] == 0 and isnan(unknown["accuracy"]) and isnan(unknown["recall"])


def test_macro_f1_is_scikit_learns() -> None:
    outcomes = outcomes_of([0, 1, 1, 0], np.zeros(4, bool))
    expected = f1_score(outcomes.labels, outcomes.predicted, average="macro")
    assert evaluate(outcomes, 0.9)["macro_f1"] == pytest.approx(expected, abs=1e-12)
