import numpy as np
import pytest

from models.rules.thresholds import certify_threshold
from tests.models.rules.evidence import PROMISE


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
