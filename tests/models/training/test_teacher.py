from dataclasses import replace

import numpy as np
import pytest
import torch

from models.experiments.zero_shot import ZeroShot
from models.inputs.examples import Examples
from models.inputs.preprocessing import Processor
from models.training.presets import Preset
from models.training.stage import Progress
from models.training.teacher.classical import ClassicalBaseline, Classifier
from models.training.teacher.picture_features import (
    foreground,
    local_binary_patterns,
    oriented_gradients,
    picture_features,
    to_lab,
)
from models.training.teacher.soft_targets import soft_targets
from tests.models.tiny import TAXONOMY, examples, tiny_network


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (53.2, 80.1, 67.2)),
        ((0, 0, 255), (32, 79, -108)),
    ],
)
def test_colours_in_lab(rgb: tuple[int, int, int], lab: tuple[float, float, float]) -> None:
    assert to_lab(np.array([[rgb]], dtype=np.uint8))[0, 0] == pytest.approx(lab, abs=1.5)


def on_white(*colours: tuple[int, int, int]) -> np.ndarray:
    """Pictures of 32×24 with a 16×12 patch of a colour in the middle, some of it as white as the margin."""
    pictures = np.full((len(colours), 32, 24, 3), 255, dtype=np.uint8)
    pictures[:, 8:24, 6:18] = np.array(colours, dtype=np.uint8)[:, None, None]
    pictures[:, 14:18, 10:14] = 255  # inside: not of the background, since it does not reach the margin
    return pictures


def test_the_foreground_is_what_the_margin_does_not_reach() -> None:
    mask = foreground(to_lab(on_white((200, 0, 0))[0]))
    expected = np.zeros((32, 24), dtype=bool)
    expected[9:23, 7:17] = True  # without its outline
    assert (mask == expected).all()
    empty = foreground(to_lab(np.full((30, 20, 3), 90, dtype=np.uint8)))
    assert empty.sum() == 18 * 10 and empty[6:24, 5:15].all()


def test_gradients_vote_for_their_direction() -> None:
    flat = np.zeros((32, 20))
    lying, standing = (
        oriented_gradients(down, right).reshape(16, 10, 9) for down, right in ((flat + 1, flat), (flat, flat + 1))
    )
    assert (standing[..., 0] > 0).all() and not standing[..., 1:].any()
    assert (lying[..., [4, 5]] > 0).all() and not np.delete(lying, [4, 5], axis=2).any()  # 90° lies between two bins
    assert not oriented_gradients(flat, flat).any()


def test_textures_by_hand() -> None:
    everywhere = np.ones((9, 9), dtype=bool)
    plain = local_binary_patterns(np.full((9, 9), 50.0), everywhere, 1)
    assert plain.tolist() == [1.0] + [0.0] * 9
    dot = np.full((9, 9), 50.0)
    dot[4, 4] = 90.0  # its eight neighbours see one lighter pixel, of 7×7 that are looked at
    assert local_binary_patterns(dot, everywhere, 1) == pytest.approx([41 / 49, 8 / 49] + [0.0] * 8)
    assert not local_binary_patterns(dot, np.zeros((9, 9), dtype=bool), 1).any()


def test_mirrored_pictures_have_the_same_colours_and_textures() -> None:
    pictures = examples(6).pictures[3:]
    features, mirrored = picture_features(pictures), picture_features(pictures[:, :, ::-1])
    assert {kind: numbers.shape[0] for kind, numbers in features.items()} == dict.fromkeys(features, 3)
    assert np.allclose(features["colours"], mirrored["colours"])
    assert np.allclose(features["textures"][:, :30], mirrored["textures"][:, :30])  # those at full size
    assert np.allclose(features["statistics"], mirrored["statistics"], atol=1e-4)
    assert not np.allclose(features["edges"], mirrored["edges"])


def test_values_without_a_label_get_next_to_no_probability() -> None:
    features = np.array([[0.0], [1.0]] * 5)
    classifier = Classifier(features, np.array([0, 2] * 5), 3)
    probabilities = np.exp(classifier(features))
    assert probabilities.argmax(axis=1).tolist() == [0, 2] * 5
    assert probabilities[:, 1].max() < 1e-6
    only = Classifier(features, np.ones(10, dtype=int), 3)
    assert np.exp(only(features[:1])).tolist() == [pytest.approx([1 / 13, 11 / 13, 1 / 13])]


COLOURS = ((220, 20, 20), (20, 200, 20), (20, 20, 220))


def separable(count: int, seed: int) -> Examples:
    """The picture tells the first attribute, and the title (its third token) the second."""
    random = np.random.default_rng(seed)
    labels = np.stack([random.integers(0, 3, count), random.integers(0, 2, count)], axis=1)
    whole = replace(examples(count, seed=seed), labels=labels, present=np.ones((count, 2), dtype=bool))
    tokens = np.zeros_like(whole.tokens)
    tokens[:, 0], tokens[:, 1], tokens[:, 2] = 49406, random.integers(1, 5, count), 10 + labels[:, 1]
    return replace(whole, pictures=on_white(*(COLOURS[color] for color in labels[:, 0])), tokens=tokens)


def test_the_classical_baseline_learns_from_both() -> None:
    baseline = ClassicalBaseline([3, 2]).fit(separable(60, 0), separable(30, 1))
    test = separable(40, 2)
    color, pattern = baseline.logits(test)
    assert color.shape == (40, 3) and pattern.shape == (40, 2)
    assert (color.argmax(axis=1) == test.labels[:, 0]).all()
    assert (pattern.argmax(axis=1) == test.labels[:, 1]).all()


def test_a_missing_modality_is_ignored() -> None:
    baseline = ClassicalBaseline([3, 2]).fit(separable(60, 0), separable(30, 1))
    test = replace(separable(6, 2), present=np.array([[False, True], [True, False]] * 3))
    others = replace(test, pictures=test.pictures.copy(), tokens=test.tokens.copy())
    others.pictures[::2] = separable(6, 3).pictures[::2][::-1]
    others.tokens[1::2, 2] = 21 - others.tokens[1::2, 2]
    for before, after in zip(baseline.logits(test), baseline.logits(others), strict=True):
        assert np.allclose(before, after)


CLASSES = [3, 2]
PICTURE, TITLE, BOTH = range(3)


def twins(count: int = 60) -> Examples:
    """Two listings a product."""
    return replace(separable(count, 0), products=np.repeat(np.arange(count // 2), 2).astype(str))


def test_each_modality_predicts_what_it_shows() -> None:
    examples, steps = twins(), list[Progress]()
    targets = soft_targets(examples, CLASSES, seed=0, progress=steps.append)
    assert targets.shape == (60, 3, 5) and targets.dtype == np.float32
    colours, patterns = targets[..., :3], targets[..., 3:]
    assert colours.sum(axis=2) == pytest.approx(np.ones((60, 3)), abs=1e-5)
    for side, share_of_colours, share_of_patterns in ((PICTURE, 1, 0), (TITLE, 0, 1), (BOTH, 1, 1)):
        for task, column, known in ((colours, 0, share_of_colours), (patterns, 1, share_of_patterns)):
            right = (task[:, side].argmax(axis=1) == examples.labels[:, column]).mean()
            assert right == 1 if known else right < 0.8
    assert [(each.step, each.steps) for each in steps] == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_no_target_depends_on_the_products_own_labels() -> None:
    examples = twins()
    wrong = replace(examples, labels=examples.labels.copy())
    wrong.labels[10:12] = (wrong.labels[10:12] + 1) % CLASSES
    before, after = (soft_targets(each, CLASSES, seed=0) for each in (examples, wrong))
    assert np.array_equal(before[10:12, :BOTH], after[10:12, :BOTH])
    assert not np.array_equal(before[:, :BOTH], after[:, :BOTH])  # others learn from them


def test_the_prior_stands_in_for_a_missing_modality() -> None:
    examples = twins()
    examples.present[0], examples.present[1] = (False, True), (True, False)
    examples.labels[5] = -1
    targets = soft_targets(examples, CLASSES, seed=0)
    counts = np.bincount(examples.labels[:, 0][examples.labels[:, 0] >= 0], minlength=3) + 1
    for row, side in ((0, PICTURE), (1, TITLE)):
        assert targets[row, side, :3] == pytest.approx(counts / counts.sum(), rel=1e-5)
    nothing = replace(examples, present=np.zeros_like(examples.present))
    assert soft_targets(nothing, CLASSES, seed=0)[:, :BOTH, :3] == pytest.approx(
        np.tile(counts / counts.sum(), (60, 2, 1)), rel=1e-5
    )


def test_zero_shot_asks_for_the_nearest_prompt(preset: Preset) -> None:
    network = tiny_network(preset)
    processor = Processor.of(preset.architecture.backbone, network.backbone)
    listings = examples(5)
    color, pattern = ZeroShot(network, TAXONOMY, processor).logits(listings)
    with torch.inference_mode():
        pictures = network.backbone.images(torch.from_numpy(listings.pictures)).embedding
        tokens = torch.from_numpy(
            processor.tokens([f"a photo of a {value} color" for value in ("red", "green", "blue", "other")])
        )
        prompts = network.backbone.titles(tokens).embedding
        cosines = torch.cosine_similarity(pictures[:, None], prompts[None], dim=-1)
    scale = network.backbone.logit_scale.exp().item()
    assert np.allclose(color, scale * cosines.numpy(), atol=1e-3)
    assert pattern.shape == (5, 3)
    other_titles = replace(listings, tokens=np.roll(listings.tokens, 1, axis=0))
    assert np.allclose(ZeroShot(network, TAXONOMY, processor).logits(other_titles)[0], color, atol=1e-4)
