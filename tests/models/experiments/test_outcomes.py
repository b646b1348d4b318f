"""What an outcome keeps, and how outcomes are compared."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.experiments.image_weights import NAMED, NOT_NAMED, image_weights
from models.experiments.mismatch_scores import SCORES
from models.experiments.outcomes import Outcome, late_fusion, predict
from models.experiments.scores import (
    COMPARED,
    GIVEN,
    MEAN,
    Difference,
    bootstrap,
    difference,
    mismatch_detection,
    scores,
)
from models.experiments.swapped_listings import CONDITIONS, is_swapped, under_condition
from models.experiments.train_variant import Answers, masked
from models.experiments.variants import VARIANTS
from models.inputs.examples import Examples
from tests.models.experiments.outcomes_of_variants import compared, complete, outcome
from tests.models.rules.evidence import NEVER
from tests.models.tiny import examples


def test_masked_listings_that_show_nothing_are_left_out() -> None:
    whole = examples(5)  # the first has no picture, the second no title
    assert masked(whole, VARIANTS["picture-only"]).present.tolist() == [[True, False]] * 4
    assert masked(whole, VARIANTS["title-only"]).present.tolist() == [[False, True]] * 4
    assert len(masked(whole, VARIANTS["full"])) == 5


def test_a_damaged_outcome_is_none(tmp_path: Path) -> None:
    assert Outcome.read(tmp_path / "none") is None
    (tmp_path / "damaged").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    assert Outcome.read(tmp_path / "damaged") is None


def test_late_fusion_by_hand() -> None:
    title = outcome([np.array([[0.9, 0.1], [0.5, 0.5]])], seconds=2.0)
    picture = outcome([np.array([[0.3, 0.7], [0.2, 0.8]])], seconds=3.0)
    fused = late_fusion([title, picture])
    assert fused.seconds == 5.0
    for condition in CONDITIONS:
        assert np.allclose(fused.probabilities[condition][0], [[0.6, 0.4], [0.35, 0.65]])


def test_answers_are_calibrated_on_listings_with_both() -> None:
    """Half of the validation listings are wrong with logits ±4: a temperature makes that a coin's toss."""
    validation = replace(examples(40, seed=1), labels=np.tile([[0, 0], [1, 1]], (20, 1)))

    def model(listings: Examples) -> Answers:
        sure = np.tile([4.0, 0.0, NEVER], (len(listings), 1))
        return Answers([sure, sure], np.full((len(listings), 2), 0.25))

    found = predict(model, validation, complete(20, 2), seed=0, seconds=0.0)
    assert np.allclose(found.probabilities["clean"][0], 0.5, atol=0.08)
    assert (found.image_weight["swapped titles"] == 0.25).all()


def answers(test: Examples, right: float, *, seed: int = 0) -> list[np.ndarray]:
    """Probabilities that are right for so large a share of the listings; the surer, the likelier."""
    found, random = [], np.random.default_rng(seed)
    for k, classes in enumerate((3, 2)):
        sure = random.random(len(test))
        tagged = np.where(sure < right, test.labels[:, k], (test.labels[:, k] + 1) % classes)
        rest = (0.4 - 0.3 * (1 - sure)) / (classes - 1)
        found.append(np.where(np.eye(classes)[tagged] > 0, (0.6 + 0.3 * (1 - sure))[:, None], rest[:, None]))
    return found


def test_scores_by_hand() -> None:
    test = complete(20, 5)
    test = replace(test, labels=np.stack([np.arange(20) % 3, np.full(20, -1)], axis=1))
    half_right = np.eye(3)[np.where(np.arange(20) < 10, test.labels[:, 0], (test.labels[:, 0] + 1) % 3)]
    flat = np.full((20, 2), 0.5)
    known = compared(test)
    found = scores(
        {0: outcome([np.eye(3)[test.labels[:, 0]], flat]), 1: outcome([half_right, flat])},
        known,
        ["color", "pattern"],
        0.9,
    )
    assert list(found) == list(GIVEN) and list(found["clean"]) == ["color", MEAN]  # nothing has a pattern
    accuracy = found["clean"]["color"]["accuracy"]
    assert (accuracy.mean, accuracy.seeds) == (0.75, [1.0, 0.5])
    assert accuracy.std == pytest.approx(0.5 / 2**0.5)
    assert found["clean"][MEAN]["recall_oracle"].seeds == [1.0, 0.0]
    one = scores({0: outcome([half_right, flat])}, known, ["color", "pattern"], 0.9)
    assert one["clean"]["color"]["accuracy"].std is None


def test_the_full_network_is_compared_in_pairs() -> None:
    whole = complete(200, 5)
    whole = replace(whole, labels=np.abs(whole.labels))
    test = compared(whole)
    better, worse = (outcome(answers(whole, right)) for right in (0.9, 0.6))
    found, other = (bootstrap({0: one, 1: one}, test, 0.9) for one in (better, worse))
    for given in GIVEN:
        same = found["recall_oracle"][given]
        assert difference(same, same) == Difference(mean=0.0, low=0.0, high=0.0)
    ahead = difference(found["recall_oracle"]["clean"], other["recall_oracle"]["clean"])
    assert 0.2 < ahead.mean < 0.4
    assert 0.1 < ahead.low < ahead.mean < ahead.high < 0.5
    means = [scores({0: one}, test, ["color", "pattern"], 0.9)["clean"][MEAN] for one in (better, worse)]
    for metric in COMPARED:
        measured = difference(found[metric]["clean"], other[metric]["clean"])
        assert measured.mean == pytest.approx(means[0][metric].mean - means[1][metric].mean)
    surer = difference(found["aurc"]["clean"], other["aurc"]["clean"])
    assert surer.low < surer.mean < surer.high < 0


def test_both_swaps_are_the_mean_of_the_two() -> None:
    whole = complete(100, 5)
    test = compared(replace(whole, labels=np.abs(whole.labels)))
    by_condition = {of: answers(whole, right) for of, right in zip(CONDITIONS, (0.9, 0.8, 0.5), strict=True)}
    one = replace(outcome(answers(whole, 0.9)), probabilities=by_condition)
    found = scores({0: one}, test, ["color", "pattern"], 0.9)
    for metric in ("accuracy", "recall_oracle"):
        clean, titles, pictures, both = (found[given][MEAN][metric].mean for given in GIVEN)
        assert both == pytest.approx((titles + pictures) / 2) and clean > titles > pictures
    drawn = bootstrap({0: one}, test, 0.9)["accuracy"]
    assert drawn["both swaps"].value == pytest.approx(found["both swaps"][MEAN]["accuracy"].mean)
    assert len(drawn["both swaps"].resamples) == len(drawn["clean"].resamples)


def test_late_fusion_of_pooled_answers() -> None:
    heads, pooled, unsure = ([np.array([[right, 1 - right]])] for right in (0.9, 0.7, 0.1))
    one = replace(outcome(heads), pooled=dict.fromkeys(CONDITIONS, pooled))
    other = replace(outcome([np.array([[0.5, 0.5]])]), pooled=dict.fromkeys(CONDITIONS, unsure))
    fused = late_fusion([one, other])
    assert np.allclose(fused.read_by("heads").probabilities["clean"][0], [[0.7, 0.3]])
    assert np.allclose(fused.read_by("pooled").probabilities["clean"][0], [[0.4, 0.6]])
    without = late_fusion([one, outcome(heads)])
    assert not without.pooled and without.read_by("pooled") is without


def test_mismatches_found_by_hand() -> None:
    test = compared(complete(40, 6))
    swapped = is_swapped(test.products, test.feeds, "swapped titles", seed=0)
    perfect, blind = swapped.astype(np.float32), np.zeros(40, dtype=np.float32)
    found = np.stack([perfect, -perfect, blind], axis=1)
    one = replace(outcome(answers(complete(40, 6), 0.9)), mismatch=dict.fromkeys(CONDITIONS, found))
    detected = mismatch_detection({0: one}, test)
    assert list(detected) == ["swapped titles", "swapped pictures"]  # of one seed, both swap the same listings
    for by_score in detected.values():
        assert [by_score[score]["auroc"].mean for score in SCORES] == [1.0, 0.0, 0.5]
        assert by_score[SCORES[0]]["average_precision"].mean == 1.0
    assert mismatch_detection({0: outcome(answers(complete(40, 6), 0.9))}, test) == {}


def test_image_weights_by_feed_and_of_swapped_listings() -> None:
    test = replace(complete(80, 6), feeds=np.array(["a", "b"] * 40))
    swapped = under_condition(test, "swapped pictures", seed=0).swapped
    clean = np.where(test.feeds == "a", 0.25, 0.75)[:, None].repeat(2, axis=1)
    weight = {
        "clean": clean,
        "swapped titles": clean,
        "swapped pictures": np.where(swapped[:, None], 0.125, clean),
    }
    one = replace(outcome(answers(test, 0.9)), image_weight=weight)
    named = test.feeds == "a"
    labels = np.abs(test.labels)
    labels[12:16, 0] = -1  # of two listings of each feed
    known = replace(compared(replace(test, labels=labels)), named=named[:, None].repeat(2, axis=1))
    found = image_weights({0: one}, known, ["color", "pattern"])
    means = {feed: [found[feed]["color"][of].mean for of in CONDITIONS if of in found[feed]["color"]] for feed in found}
    assert means == {"a": [0.25, 0.25, 0.125], "b": [0.75, 0.75, 0.125]}
    by_title = {
        feed: {kind: found[feed]["color"][kind].mean for kind in (NAMED, NOT_NAMED) if kind in found[feed]["color"]}
        for feed in found
    }
    assert by_title == {"a": {NAMED: 0.25}, "b": {NOT_NAMED: 0.75}}
