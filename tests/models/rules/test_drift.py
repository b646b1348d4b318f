import numpy as np
import pytest
from scipy.stats import ks_2samp

from models.rules.certificates import Calibration, Promise
from models.rules.certify import calibrate, compared_with
from models.rules.drift import Drift, compare_scores
from schemas.taxonomy import Taxonomy
from tests.models.rules.evidence import with_none

(STYLE,) = Taxonomy.from_dict({"style": {"values": ["maxi", "mini"]}}).attributes


def calibration(confidence: np.ndarray) -> Calibration:
    logits = with_none(np.stack([np.log(confidence), np.log(1 - confidence)], axis=1))
    return calibrate(
        logits, np.zeros(len(confidence), int), np.arange(len(confidence)), STYLE, Promise(), temperature=1.0
    )


def draw(random: np.random.Generator, count: int, mean: float | np.ndarray) -> np.ndarray:
    return 0.5 + random.beta(6 * mean, 6 * (1 - mean), count) / 2.001


def test_the_distance_is_that_of_kolmogorov_and_smirnov() -> None:
    random = np.random.default_rng(0)
    before, now = draw(random, 150, 0.8), draw(random, 400, 0.6)
    expected = ks_2samp(before, now, method="asymp")
    found = compare_scores(calibration(before), now)
    assert found.statistic == pytest.approx(expected.statistic, abs=1e-9) and found.listings == 400
    assert found.p_value == pytest.approx(expected.pvalue, rel=0.5)  # scipy has other terms of higher order
    assert found.drifted


@pytest.mark.parametrize("digits", [1, 9], ids=["ties", "no ties"])
@pytest.mark.parametrize(("certified_on", "new"), [(30, 200), (400, 200), (1000, 20_000)])
def test_resamples_do_not_alarm(certified_on: int, new: int, digits: int) -> None:
    random = np.random.default_rng(1)
    alarms = [
        compare_scores(
            calibration(draw(random, certified_on, 0.8).round(digits).clip(0.51, 0.99)),
            draw(random, new, 0.8).round(digits).clip(0.51, 0.99),
        ).drifted
        for _ in range(200)
    ]
    assert sum(alarms) <= 2


@pytest.mark.parametrize(("certified_on", "new"), [(400, 200), (1000, 1000)])
def test_shifted_scores_alarm(certified_on: int, new: int) -> None:
    random = np.random.default_rng(2)
    alarms = [
        compare_scores(calibration(draw(random, certified_on, 0.8)), draw(random, new, 0.6)).drifted for _ in range(100)
    ]
    assert sum(alarms) >= 95


def test_a_difference_of_no_consequence_is_none_however_many_listings_prove_it() -> None:
    random = np.random.default_rng(3)
    found = compare_scores(calibration(draw(random, 50_000, 0.80)), draw(random, 50_000, 0.79))
    assert found.p_value < 1e-6 and found.statistic < 0.1 and not found.drifted


def test_confidences_that_came_back_from_the_catalogue_are_the_same() -> None:
    confidence = np.full(300, 0.8)
    assert compare_scores(calibration(confidence), confidence.astype(np.float32)) == Drift(300, 0.0, 1.0)


def merchants(random: np.random.Generator, count: int, *, outside: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Confidences of a merchant's listings, and which have a usable label. The model is unsure of a share `outside`
    that has none of the values, and of a quarter that has no usable label."""
    kind = random.random(count)
    mean = np.select([kind < outside, kind < outside + 0.25], [0.45, 0.5], 0.85)
    return draw(random, count, mean), (kind < outside) | (kind >= outside + 0.25)


def test_two_halves_of_one_feed_do_not_alarm_though_the_unlabelled_half_is_harder() -> None:
    random, alarms, unlike = np.random.default_rng(4), 0, 0
    for _ in range(100):
        confidence, labelled = merchants(random, 2000)
        half = random.permutation(2000) < 1000
        certified = calibration(confidence[half & labelled])
        alarms += compare_scores(compared_with(certified, confidence[half]), confidence[~half]).drifted
        unlike += compare_scores(certified, confidence[~half]).drifted
    assert alarms <= 5 < 90 <= unlike  # labelled listings are not like all listings


def test_a_feed_that_changes_alarms() -> None:
    random, alarms = np.random.default_rng(5), 0
    for _ in range(100):
        before, labelled = merchants(random, 1000)
        certified = compared_with(calibration(before[labelled]), before)
        alarms += compare_scores(certified, merchants(random, 1000, outside=0.4)[0]).drifted
    assert alarms >= 95
