from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.evaluation.metrics import METRICS
from models.evaluation.metrics import Outcomes as Tags
from models.experiments.outcomes import Outcome, Splits, late_fusion, predict
from models.experiments.scores import MEAN, Difference, difference, image_weights, scores
from models.experiments.swapped_listings import CONDITIONS, under_condition
from models.experiments.train_variant import Answers, masked
from models.experiments.variants import VARIANTS
from models.inputs.examples import Examples
from models.inputs.listings import Listings
from models.inputs.preprocessing import Processor
from tests.models.experiments.outcomes_of_variants import complete, outcome
from tests.models.rules.evidence import NEVER
from tests.models.tiny import CONTEXT, SIDE, examples, jpeg


def test_a_feed_without_pictures_is_not_measured_and_named(backbone_name: str) -> None:
    count = 330
    feeds = np.array(["seen", "unseen"] * (count // 2))
    listings = Listings(
        titles=["red dress"] * count,
        pictures=[jpeg() if feed == "seen" else None for feed in feeds],
        labels=np.zeros((count, 2), dtype=np.int64),
        splits=np.repeat(["train", "validation", "test"], count // 3),
        feeds=feeds,
        products=np.arange(count).astype(str),
    )
    processor = Processor(backbone=backbone_name, image_size=(SIDE, SIDE), context_length=CONTEXT, trims_titles=True)
    splits = Splits.of(listings, processor, threads=1)
    assert set(splits.test.feeds) == {"seen"} and splits.left_out == 55
    assert splits.unmeasured == ("unseen",)


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
    found = scores(
        {0: outcome([np.eye(3)[test.labels[:, 0]], flat]), 1: outcome([half_right, flat])},
        test,
        ["color", "pattern"],
        0.9,
    )
    assert list(found) == list(CONDITIONS) and list(found["clean"]) == ["color", MEAN]  # nothing has a pattern
    accuracy = found["clean"]["color"]["accuracy"]
    assert (accuracy.mean, accuracy.seeds) == (0.75, [1.0, 0.5])
    assert accuracy.std == pytest.approx(0.5 / 2**0.5)
    assert found["clean"][MEAN]["recall_oracle"].seeds == [1.0, 0.0]
    one = scores({0: outcome([half_right, flat])}, test, ["color", "pattern"], 0.9)
    assert one["clean"]["color"]["accuracy"].std is None


def test_the_full_network_is_compared_in_pairs() -> None:
    test = complete(200, 5)
    test = replace(test, labels=np.abs(test.labels))
    better, worse = (outcome(answers(test, right)) for right in (0.9, 0.6))

    def recall(tags: Tags, weights: np.ndarray) -> np.ndarray:
        return METRICS["recall_oracle"].measure(tags, weights, 0.9)

    def aurc(tags: Tags, weights: np.ndarray) -> np.ndarray:
        return METRICS["aurc"].measure(tags, weights, 0.9)

    same = difference({0: better, 1: better}, {0: better, 1: better}, test, "clean", recall)
    assert same == Difference(mean=0.0, low=0.0, high=0.0)
    ahead = difference({0: better}, {0: worse}, test, "clean", recall)
    assert 0.2 < ahead.mean < 0.4
    assert 0.1 < ahead.low < ahead.mean < ahead.high < 0.5
    expected = scores({0: better}, test, ["color", "pattern"], 0.9)["clean"][MEAN]["recall_oracle"].mean
    expected -= scores({0: worse}, test, ["color", "pattern"], 0.9)["clean"][MEAN]["recall_oracle"].mean
    assert ahead.mean == pytest.approx(expected)
    surer = difference({0: better}, {0: worse}, test, "clean", aurc)
    assert surer.low < surer.mean < surer.high < 0


def test_image_weights_by_feed_and_of_swapped_listings() -> None:
    test = replace(complete(40, 6), feeds=np.array(["a", "b"] * 20))
    swapped = under_condition(test, "swapped pictures", seed=0).swapped
    clean = np.where(test.feeds == "a", 0.25, 0.75)[:, None].repeat(2, axis=1)
    weight = {
        "clean": clean,
        "swapped titles": clean,
        "swapped pictures": np.where(swapped[:, None], 0.125, clean),
    }
    found = image_weights({0: replace(outcome(answers(test, 0.9)), image_weight=weight)}, test, ["color", "pattern"])
    means = {feed: [found[feed]["color"][of].mean for of in CONDITIONS] for feed in found}
    assert means == {"a": [0.25, 0.25, 0.125], "b": [0.75, 0.75, 0.125]}
