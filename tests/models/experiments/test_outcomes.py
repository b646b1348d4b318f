from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from models.evaluation.metrics import area_under_risk_coverage, recall_at_precision
from models.experiments.outcomes import Outcome, Splits, ask, late_fusion, run_variant
from models.experiments.scores import MEAN, behind, image_weights, scores
from models.experiments.swapped_listings import CONDITIONS, shown, swapped_rows
from models.experiments.variants import (
    VARIANTS,
    Answers,
    Lesson,
    Model,
    contrastive_preset,
    held_against,
    make_towers,
    masked,
    teach,
    tower_stages,
    variant_of,
)
from models.inputs.examples import Examples
from models.inputs.listings import Listings
from models.inputs.preprocessing import Processor
from models.training.presets import Preset, Stage
from schemas.errors import UserError
from tests.models.tiny import CONTEXT, SIDE, TAXONOMY, clip_folder, examples, jpeg, tiny_preset

TRAINED = [name for name, variant in VARIANTS.items() if variant.kind != "late fusion"]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 12)), min_size=1, max_size=60),
    st.sampled_from([0.3, 0.5, 1.0]),
    st.integers(0, 3),
)
def test_swaps_conserve_titles_and_leave_none_in_place(
    listings: list[tuple[str, int]], share: float, seed: int
) -> None:
    feeds = np.array([feed for feed, _ in listings])
    products = np.array([f"{feed}/{product}" for feed, product in listings])
    try:
        rows = swapped_rows(products, feeds, share=share, seed=seed)
    except UserError as error:
        assert "too few products" in str(error)
        return
    moved = rows != np.arange(len(rows))
    assert sorted(rows) == list(range(len(rows)))
    assert (feeds[rows] == feeds).all()
    assert (products[rows][moved] != products[moved]).all()
    for feed in np.unique(feeds):
        assert moved[feeds == feed].sum() == round(share * (feeds == feed).sum())


def test_one_product_cannot_be_swapped_with_itself() -> None:
    with pytest.raises(UserError, match="feed a has too few products among its 10"):
        swapped_rows(np.array(["a/1"] * 10), np.array(["a"] * 10), share=0.3, seed=0)


def complete(count: int, seed: int) -> Examples:
    whole = examples(count, seed=seed)
    return replace(whole, present=np.ones((count, 2), dtype=bool))


def test_swapped_listings_are_shown_under_anothers_title_or_picture() -> None:
    whole = complete(20, 0)
    (clean, none), (titles, moved), (pictures, also_moved) = (shown(whole, of, seed=1) for of in CONDITIONS)
    assert clean is whole and not none.any()
    assert moved.sum() == 6 and (moved == also_moved).all()
    assert (titles.tokens == whole.tokens).all(axis=1).tolist() == (~moved).tolist()
    assert sorted(map(bytes, titles.tokens)) == sorted(map(bytes, whole.tokens))
    assert titles.pictures is whole.pictures and titles.labels is whole.labels
    assert (pictures.pictures == whole.pictures).all(axis=(1, 2, 3)).tolist() == (~moved).tolist()
    assert pictures.tokens is whole.tokens and pictures.labels is whole.labels
    assert (shown(whole, "swapped titles", seed=2).swapped != moved).any()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Preset:
    """Around a folder with weights: a model that starts from a folder without them is refused."""
    folder = tmp_path_factory.mktemp("pretrained")
    name = clip_folder(folder)
    torch.manual_seed(0)
    clip = open_clip.create_model(name, load_weights=False, force_custom_text=True)
    save_file(clip.state_dict(), folder / "open_clip_model.safetensors")
    preset = tiny_preset(name, "small")
    later = preset.stages[-3:]
    towers = Stage(
        name="towers",
        parts=("image_tower", "title_tower", "probes"),
        epochs=1,
        learning_rate=0.01,
        schedule="one-cycle",
    )
    return replace(preset, stages=(towers, *later))


def lesson(preset: Preset) -> Lesson:
    return Lesson(
        preset=preset,
        taxonomy=TAXONOMY,
        train=examples(24),
        validation=examples(12, seed=1),
        device=torch.device("cpu"),
    )


def taught(name: str, preset: Preset, folder: Path) -> Model:
    make_towers(lesson(preset), folder / "towers")
    return teach(name, lesson(preset), towers=folder / "towers", folder=folder / name)


@pytest.mark.parametrize(("name", "ignored"), [("title-only", "pictures"), ("picture-only", "tokens")])
def test_a_variant_never_looks_at_what_it_is_not_shown(name: str, ignored: str, small: Preset, tmp_path: Path) -> None:
    model = taught(name, small, tmp_path)
    whole, other = complete(8, 2), complete(8, 3)
    before = model(whole)
    after = model(replace(whole, **{ignored: getattr(other, ignored)}))
    looked_at = {"pictures": "tokens", "tokens": "pictures"}[ignored]
    different = model(replace(whole, **{looked_at: getattr(other, looked_at)}))
    for k in range(2):
        assert np.allclose(before.logits[k], after.logits[k], atol=1e-5)
        assert not np.allclose(before.logits[k], different.logits[k], atol=1e-3)
    assert np.isnan(before.image_weight).all()


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


@pytest.mark.parametrize("name", ["full", "without-ma", "without-ma-sa", "title-only", "picture-only"])
def test_every_variant_starts_from_the_same_towers(name: str, small: Preset, tmp_path: Path) -> None:
    """With no epoch of Algorithm 1 but of tuning at a rate of 0, what is left are the towers as they were made."""
    stages = tuple(
        replace(stage, epochs=int(stage.name in ("towers", "tuning")), learning_rate=0.01 * (stage.name == "towers"))
        for stage in small.stages
    )
    taught(name, replace(small, stages=stages), tmp_path)
    towers = load_file(tmp_path / "towers" / "towers.safetensors")
    kept = load_file(tmp_path / name / "tuning.safetensors")
    of_towers = [key for key in towers if key.startswith(("backbone.", "image_probes.", "title_probes."))]
    assert of_towers and all(torch.equal(towers[key], kept[key]) for key in of_towers)


def test_towers_are_made_once_and_only_where_a_preset_says_so(small: Preset, tmp_path: Path) -> None:
    assert [stage.name for stage in tower_stages(small)] == ["towers"]
    pretrained = replace(small, stages=small.stages[1:])
    assert tower_stages(pretrained) == ()
    make_towers(lesson(pretrained), tmp_path / "none")
    assert not (tmp_path / "none").exists()
    make_towers(lesson(small), tmp_path)
    made = (tmp_path / "towers.safetensors").stat().st_mtime_ns
    make_towers(lesson(small), tmp_path)
    assert (tmp_path / "towers.safetensors").stat().st_mtime_ns == made
    with pytest.raises(UserError, match="no towers that can be read"):
        teach("full", lesson(small), towers=tmp_path / "elsewhere", folder=tmp_path)


def test_contrastive_fine_tuning_moves_the_towers_alone_and_as_long(small: Preset, tmp_path: Path) -> None:
    stages = tuple(replace(stage, epochs=epochs) for stage, epochs in zip(small.stages, (1, 2, 3, 4), strict=True))
    (stage,) = contrastive_preset(replace(small, stages=stages)).stages
    assert (stage.name, stage.parts, stage.epochs) == ("contrastive", ("image_tower", "title_tower"), 9)
    assert stage.learning_rate == small.stages[2].learning_rate
    faster = tuple(replace(stage, learning_rate=0.02) for stage in small.stages)
    taught("contrastive", replace(small, stages=faster), tmp_path)
    before = load_file(tmp_path / "towers" / "towers.safetensors")
    after = load_file(tmp_path / "contrastive" / "contrastive.safetensors")
    same = {key: torch.equal(before[key], after[key]) for key in before if "probes" in key}
    assert same and all(same.values())


def test_an_option_of_the_preset_is_changed_after_the_towers(small: Preset, tmp_path: Path) -> None:
    listings = complete(8, 2)
    full, same, other = (
        taught(name, small, tmp_path)(listings)
        for name in ("full", f"text_rate={small.text_rate}", "label_smoothing=0.9")
    )
    for k in range(2):
        assert np.array_equal(full.logits[k], same.logits[k])
        assert not np.allclose(full.logits[k], other.logits[k], atol=1e-3)


def test_networks_under_other_options() -> None:
    assert variant_of("swapped=0.25").options == {"swapped": 0.25}
    assert variant_of("swapped=0+ema=0.9").options == {"swapped": 0.0, "ema": 0.9}
    without = variant_of("without-ma+pools_probes=0+ema=0")
    assert (without.options, without.modality_attention) == ({"pools_probes": 0.0, "ema": 0.0}, False)
    assert without.label == "without MA, pools_probes 0, ema 0"
    names = ("classical", "swapped=0+ema=0", "without-ma+swapped=0+ema=0")
    assert [held_against(name) for name in names] == ["full", "full", "swapped=0+ema=0"]


@pytest.mark.parametrize(
    "name",
    [
        *("half", "half=1", "swapped=0+half=1", "swapped=", "swapped=a", "swapped=-1", "seed=1", "optimizer=1"),
        *("swapped=0+full", "half+swapped=0", "full+", "classical+swapped=0", "late-fusion+swapped=0"),
    ],
)
def test_what_is_no_variant(name: str) -> None:
    with pytest.raises(KeyError):
        variant_of(name)


@pytest.mark.parametrize("name", TRAINED)
def test_every_variant_answers_for_every_listing(name: str, small: Preset, tmp_path: Path) -> None:
    make_towers(lesson(small), tmp_path / "towers")
    outcome = run_variant(name, lesson(small), complete(20, 4), towers=tmp_path / "towers", folder=tmp_path / name)
    for condition in CONDITIONS:
        color, pattern = outcome.probabilities[condition]
        assert color.shape == (20, 3) and pattern.shape == (20, 2)
        assert np.allclose(color.sum(axis=1), 1, atol=1e-4)
        weights = outcome.image_weight[condition]
        assert weights.shape == (20, 2)
        assert ((weights > 0) & (weights < 1)).all() if name == "full" else np.isnan(weights).all()
    path = tmp_path / "outcome.safetensors"
    outcome.write(path)
    again = Outcome.read(path)
    assert again is not None and again.seconds == outcome.seconds
    for condition in CONDITIONS:
        assert np.array_equal(again.image_weight[condition], outcome.image_weight[condition], equal_nan=True)
        for written, read in zip(outcome.probabilities[condition], again.probabilities[condition], strict=True):
            assert np.array_equal(written, read)


def test_damaged_outcomes_are_done_again(tmp_path: Path) -> None:
    assert Outcome.read(tmp_path / "none") is None
    (tmp_path / "damaged").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    assert Outcome.read(tmp_path / "damaged") is None


def outcome(probabilities: list[np.ndarray], *, seconds: float = 1.0, weight: float = np.nan) -> Outcome:
    """The same answers under every condition."""
    shape = (len(probabilities[0]), len(probabilities))
    return Outcome(seconds, dict.fromkeys(CONDITIONS, probabilities), dict.fromkeys(CONDITIONS, np.full(shape, weight)))


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
        sure = np.tile([4.0, 0.0], (len(listings), 1))
        return Answers([sure, sure], np.full((len(listings), 2), 0.25))

    found = ask(model, validation, complete(20, 2), seed=0, seconds=0.0)
    assert np.allclose(found.probabilities["clean"][0], 0.5, atol=0.06)
    assert (found.image_weight["swapped titles"] == 0.25).all()


def answers(test: Examples, right: float, *, seed: int = 0) -> list[np.ndarray]:
    """Probabilities that are right for so large a share of the listings; the surer, the likelier."""
    found, random = [], np.random.default_rng(seed)
    for k, classes in enumerate((3, 2)):
        sure = random.random(len(test))
        said = np.where(sure < right, test.labels[:, k], (test.labels[:, k] + 1) % classes)
        rest = (0.4 - 0.3 * (1 - sure)) / (classes - 1)
        found.append(np.where(np.eye(classes)[said] > 0, (0.6 + 0.3 * (1 - sure))[:, None], rest[:, None]))
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
    assert (accuracy["mean"], accuracy["seeds"]) == (0.75, [1.0, 0.5])
    assert accuracy["std"] == pytest.approx(0.5 / 2**0.5)
    assert found["clean"][MEAN]["recall_oracle"]["seeds"] == [1.0, 0.0]
    one = scores({0: outcome([half_right, flat])}, test, ["color", "pattern"], 0.9)
    assert one["clean"]["color"]["accuracy"]["std"] is None


def test_the_full_network_is_compared_in_pairs() -> None:
    test = complete(200, 5)
    test = replace(test, labels=np.abs(test.labels))
    better, worse = (outcome(answers(test, right)) for right in (0.9, 0.6))
    recall = partial(recall_at_precision, target=0.9)
    same = behind({0: better, 1: better}, {0: better, 1: better}, test, "clean", recall)
    assert same == {"mean": 0.0, "low": 0.0, "high": 0.0}
    ahead = behind({0: better}, {0: worse}, test, "clean", recall)
    assert 0.2 < ahead["mean"] < 0.4
    assert 0.1 < ahead["low"] < ahead["mean"] < ahead["high"] < 0.5
    expected = scores({0: better}, test, ["color", "pattern"], 0.9)["clean"][MEAN]["recall_oracle"]["mean"]
    expected -= scores({0: worse}, test, ["color", "pattern"], 0.9)["clean"][MEAN]["recall_oracle"]["mean"]
    assert ahead["mean"] == pytest.approx(expected)
    surer = behind({0: better}, {0: worse}, test, "clean", area_under_risk_coverage)
    assert surer["low"] < surer["mean"] < surer["high"] < 0


def test_image_weights_by_feed_and_of_swapped_listings() -> None:
    test = replace(complete(40, 6), feeds=np.array(["a", "b"] * 20))
    swapped = shown(test, "swapped pictures", seed=0).swapped
    clean = np.where(test.feeds == "a", 0.25, 0.75)[:, None].repeat(2, axis=1)
    weight = {
        "clean": clean,
        "swapped titles": clean,
        "swapped pictures": np.where(swapped[:, None], 0.125, clean),
    }
    found = image_weights({0: replace(outcome(answers(test, 0.9)), image_weight=weight)}, test, ["color", "pattern"])
    means = {feed: [found[feed]["color"][of]["mean"] for of in CONDITIONS] for feed in found}
    assert means == {"a": [0.25, 0.25, 0.125], "b": [0.75, 0.75, 0.125]}
