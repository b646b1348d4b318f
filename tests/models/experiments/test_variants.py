"""The variants of an ablation: what each is shown, what it trains, and which names are refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models.experiments.outcomes import READINGS, Outcome, run_variant
from models.experiments.swapped_listings import CONDITIONS
from models.experiments.train_variant import (
    Predictor,
    TrainingInputs,
    contrastive_preset,
    make_towers,
    tower_stages,
    train_variant,
)
from models.experiments.variants import VARIANTS, counterpart_of, variant_of
from models.training.parts import Stage
from models.training.presets import Preset
from schemas.errors import UserError
from tests.models.experiments.outcomes_of_variants import complete
from tests.models.tiny import TAXONOMY, clip_folder_with_weights, examples, tiny_preset

TRAINED = [name for name, variant in VARIANTS.items() if variant.kind != "late fusion"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Preset:
    preset = tiny_preset(clip_folder_with_weights(tmp_path_factory.mktemp("pretrained")), "small")
    later = preset.stages[-3:]
    towers = Stage(
        name="towers",
        parts=("image_tower", "title_tower", "probes"),
        epochs=1,
        learning_rate=0.01,
        schedule="one-cycle",
    )
    return replace(preset, stages=(towers, *later))


def inputs(preset: Preset) -> TrainingInputs:
    return TrainingInputs(
        preset=preset,
        taxonomy=TAXONOMY,
        train=examples(24),
        validation=examples(12, seed=1),
        device=torch.device("cpu"),
    )


def trained(name: str, preset: Preset, folder: Path) -> Predictor:
    make_towers(inputs(preset), folder / "towers")
    return train_variant(name, inputs(preset), towers=folder / "towers", folder=folder / name)


@pytest.mark.parametrize(("name", "ignored"), [("title-only", "pictures"), ("picture-only", "tokens")])
def test_a_variant_never_looks_at_what_it_is_not_shown(name: str, ignored: str, small: Preset, tmp_path: Path) -> None:
    model = trained(name, small, tmp_path)
    whole, other = complete(8, 2), complete(8, 3)
    before = model(whole)
    after = model(replace(whole, **{ignored: getattr(other, ignored)}))
    looked_at = {"pictures": "tokens", "tokens": "pictures"}[ignored]
    different = model(replace(whole, **{looked_at: getattr(other, looked_at)}))
    for k in range(2):
        assert np.allclose(before.logits[k], after.logits[k], atol=1e-5)
        assert not np.allclose(before.logits[k], different.logits[k], atol=1e-3)
    assert np.isnan(before.image_weight).all()


@pytest.mark.parametrize("name", ["full", "without-ma", "without-ma-sa", "title-only", "picture-only"])
def test_every_variant_starts_from_the_same_towers(name: str, small: Preset, tmp_path: Path) -> None:
    """With no epoch of Algorithm 1 but of tuning at a rate of 0, what is left are the towers as they were made."""
    stages = tuple(
        replace(stage, epochs=int(stage.name in ("towers", "tuning")), learning_rate=0.01 * (stage.name == "towers"))
        for stage in small.stages
    )
    trained(name, replace(small, stages=stages), tmp_path)
    towers = load_file(tmp_path / "towers" / "towers.safetensors")
    kept = load_file(tmp_path / name / "tuning.safetensors")
    of_towers = [key for key in towers if key.startswith(("backbone.", "image_probes.", "title_probes."))]
    assert of_towers and all(torch.equal(towers[key], kept[key]) for key in of_towers)


def test_towers_are_trained_once_and_only_for_presets_with_tower_stages(small: Preset, tmp_path: Path) -> None:
    assert [stage.name for stage in tower_stages(small)] == ["towers"]
    pretrained = replace(small, stages=small.stages[1:])
    assert tower_stages(pretrained) == ()
    make_towers(inputs(pretrained), tmp_path / "none")
    assert not (tmp_path / "none").exists()
    make_towers(inputs(small), tmp_path)
    made = (tmp_path / "towers.safetensors").stat().st_mtime_ns
    make_towers(inputs(small), tmp_path)
    assert (tmp_path / "towers.safetensors").stat().st_mtime_ns == made
    with pytest.raises(UserError, match="no towers that can be read"):
        train_variant("full", inputs(small), towers=tmp_path / "elsewhere", folder=tmp_path)


def test_contrastive_fine_tuning_moves_the_towers_alone_and_as_long(small: Preset, tmp_path: Path) -> None:
    stages = tuple(replace(stage, epochs=epochs) for stage, epochs in zip(small.stages, (1, 2, 3, 4), strict=True))
    (stage,) = contrastive_preset(replace(small, stages=stages)).stages
    assert (stage.name, stage.parts, stage.epochs) == ("contrastive", ("image_tower", "title_tower"), 9)
    assert stage.learning_rate == small.stages[2].learning_rate
    faster = tuple(replace(stage, learning_rate=0.02) for stage in small.stages)
    trained("contrastive", replace(small, stages=faster), tmp_path)
    before = load_file(tmp_path / "towers" / "towers.safetensors")
    after = load_file(tmp_path / "contrastive" / "contrastive.safetensors")
    same = {key: torch.equal(before[key], after[key]) for key in before if "probes" in key}
    assert same and all(same.values())


def test_an_option_of_the_preset_is_changed_after_the_towers(small: Preset, tmp_path: Path) -> None:
    listings = complete(8, 2)
    full, same, other = (
        trained(name, small, tmp_path)(listings)
        for name in ("full", f"text_rate={small.text_rate}", "label_smoothing=0.9")
    )
    for k in range(2):
        assert np.array_equal(full.logits[k], same.logits[k])
        assert not np.allclose(full.logits[k], other.logits[k], atol=1e-3)


def test_networks_under_other_options() -> None:
    assert variant_of("swapped=0.25").options == {"swapped": 0.25}
    assert variant_of("swapped=0+ema=0.9").options == {"swapped": 0.0, "ema": 0.9}
    without = variant_of("without-ma+swapped=0+ema=0")
    assert (without.options, without.modality_attention) == ({"swapped": 0.0, "ema": 0.0}, False)
    assert without.label == "without MA, swapped 0, ema 0"
    names = ("classical", "swapped=0+ema=0", "without-ma+swapped=0+ema=0")
    assert [counterpart_of(name) for name in names] == ["full", "full", "swapped=0+ema=0"]


@pytest.mark.parametrize(
    "name",
    [
        *("half", "half=1", "swapped=0+half=1", "swapped=", "swapped=a", "swapped=-1", "seed=1", "optimizer=1"),
        "pools_probes=0",  # every outcome has both
        *("swapped=0+full", "half+swapped=0", "full+", "classical+swapped=0", "late-fusion+swapped=0"),
    ],
)
def test_an_unknown_variant_is_a_key_error(name: str) -> None:
    with pytest.raises(KeyError):
        variant_of(name)


@pytest.mark.parametrize("name", TRAINED)
def test_every_variant_answers_for_every_listing(name: str, small: Preset, tmp_path: Path) -> None:
    make_towers(inputs(small), tmp_path / "towers")
    outcome = run_variant(name, inputs(small), complete(20, 4), towers=tmp_path / "towers", folder=tmp_path / name)
    for condition in CONDITIONS:
        color, pattern = outcome.probabilities[condition]
        assert color.shape == (20, 3) and pattern.shape == (20, 2)
        assert ((color > 0).all() and (color.sum(axis=1) < 1).all()) or name == "classical"
        weights = outcome.image_weight[condition]
        assert weights.shape == (20, 2)
        assert ((weights > 0) & (weights < 1)).all() if name == "full" else np.isnan(weights).all()
    assert bool(outcome.pooled) == (variant_of(name).kind == "network")
    assert bool(outcome.mismatch) == (name in ("full", "without-ma", "without-ma-sa"))
    path = tmp_path / "outcome.safetensors"
    outcome.write(path)
    again = Outcome.read(path)
    assert again is not None and again.seconds == outcome.seconds
    for condition in CONDITIONS:
        assert np.array_equal(again.image_weight[condition], outcome.image_weight[condition], equal_nan=True)
        for reading in READINGS:
            one, other = (each.read_by(reading).probabilities[condition] for each in (outcome, again))
            assert all(np.array_equal(written, read) for written, read in zip(one, other, strict=True))
    assert again.mismatch.keys() == outcome.mismatch.keys()
    assert all(np.array_equal(again.mismatch[of], scores) for of, scores in outcome.mismatch.items())
