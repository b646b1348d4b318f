import numpy as np
import pytest
from scipy.special import softmax

from models.calibration import Calibration, calibrate, certify_threshold, fit_temperature


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_known_temperature_is_found(temperature: float) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(20_000, 4)) * 3
    chances = softmax(logits / temperature, axis=1)
    labels = (chances.cumsum(axis=1) < random.random((20_000, 1))).sum(axis=1).clip(max=3)
    labels[::7] = -1
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)


def test_without_labels_the_temperature_is_one() -> None:
    assert fit_temperature(np.ones((3, 2)), np.array([-1, -1, -1])) == 1.0


def test_probabilities_by_hand() -> None:
    logits = np.log([[9.0, 1.0]])
    np.testing.assert_allclose(Calibration(2.0, None).probabilities(logits), [[0.75, 0.25]])


def certified(right: list[bool], confidence: list[float] | None = None) -> float | None:
    confidence = confidence or np.linspace(0.99, 0.5, len(right)).tolist()
    return certify_threshold(np.array(confidence), np.array(right, dtype=bool), target=0.9, confidence_level=0.95)


def test_twenty_nine_of_twenty_nine_certify_ninety_percent() -> None:
    assert certified([True] * 28) is None
    assert certified([True] * 29) == 0.5
    assert certified([True] * 28 + [False]) is None
    assert certified([]) is None


def test_one_mistake_needs_forty_six() -> None:
    """0.9ⁿ + n·0.1·0.9ⁿ⁻¹ falls to 0.05 at n = 46."""
    assert certified([False] + [True] * 44) is None
    assert certified([False] + [True] * 45) is None  # the walk stops at its first step, 29 with one mistake
    assert certified([True] * 29 + [False] + [True] * 16) == 0.99 - 0.49 * 28 / 45


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


def test_the_promise_is_broken_no_more_often_than_agreed() -> None:
    """Over many calibration splits, the true precision at the certified threshold falls under the target at most δ of
    the time. Here the chance to be right is 0.4 + 0.6 c, so the precision of everything above t is 0.7 + 0.3 t."""
    random = np.random.default_rng(2)
    repeats, promised = 400, []
    for _ in range(repeats):
        confidence = random.uniform(0.5, 1.0, 300)
        right = random.random(300) < 0.4 + 0.6 * confidence
        threshold = certify_threshold(confidence, right, target=0.9, confidence_level=0.95)
        if threshold is not None:
            promised.append(0.7 + 0.3 * threshold)
    broken = sum(precision < 0.9 for precision in promised) / repeats
    assert len(promised) > repeats / 3  # and it does promise something
    assert broken <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats)


def test_calibrate_leaves_out_what_has_no_label() -> None:
    logits = np.tile([[4.0, 0.0]], (60, 1))
    labels = np.where(np.arange(60) < 30, 0, -1)
    calibration = calibrate(logits, labels, temperature=2.0, target_precision=0.9, confidence_level=0.95)
    assert calibration.temperature == 2.0
    assert calibration.threshold == pytest.approx(1 / (1 + np.exp(-2)))
    nothing = calibrate(logits, np.full(60, -1), temperature=2.0, target_precision=0.9, confidence_level=0.95)
    assert nothing == Calibration(2.0, None)
