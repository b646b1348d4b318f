"""Soft targets: the classical baseline's cross-fitted probabilities, from which a network is distilled that starts from
random weights and would otherwise memorise titles."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from scipy.special import softmax

from models.inputs.examples import Examples
from models.training.presets import Preset
from models.training.saved.checkpoints import load, save
from models.training.stage import Progress
from models.training.teacher.classical import Classifier, Logs, log_prior, title_vectorizer
from models.training.teacher.opinion_pool import pooling_weights
from models.training.teacher.picture_kernel import PictureKernel
from models.training.teacher.stored_features import PictureFeatures

_FOLDS = 5
_MOST = 20_000  # listings that a classifier is trained on


def soft_targets(
    examples: Examples,
    classes: list[int],
    *,
    seed: int,
    hand_made: PictureFeatures | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Float[np.ndarray, "N 3 S"]:
    """Probabilities of the values of all attributes, concatenated (S in all): by the picture, by the title, by both.

    Cross-fitting: classifiers are trained on four fifths of the products and predict the other fifth, so that no target
    depends on the listing's own label. The prior stands in for a missing modality. About 14 ms a
    listing of 192×120 pixels on one core, next to nothing where its features are stored.
    """
    described = _pictures(examples, seed, hand_made), title_vectorizer().fit_transform(examples.tokens)
    random = np.random.default_rng(seed)
    fold = _folds(examples.products, random)
    targets = []
    for k, (labels, count) in enumerate(zip(examples.labels.T, classes, strict=True)):
        prior = np.broadcast_to(log_prior(labels, count), (len(examples), count))
        evidence = np.stack([prior] * 3)
        for side, (features, has) in enumerate(zip(described, examples.present.T, strict=True)):
            evidence[side, has] = _cross_fitted(features[has], labels[has], fold[has], count, random)
            if progress:
                progress(Progress("teacher", 2 * k + side + 1, 2 * len(classes)))
        known = (labels >= 0) & examples.present.all(axis=1)
        both = np.tensordot(pooling_weights(evidence[:, known], labels[known]), evidence, axes=1)
        targets.append(softmax([*evidence[:2], both], axis=2))
    return np.concatenate(targets, axis=2).swapaxes(0, 1).astype(np.float32)


def with_soft_targets(
    examples: Examples,
    classes: list[int],
    preset: Preset,
    file: Path,
    progress: Callable[[Progress], None] | None = None,
    hand_made: PictureFeatures | None = None,
) -> Examples:
    """The examples with soft targets if the preset distils. Read from `file`, or computed and saved there."""
    if not preset.distillation:
        return examples
    if saved := load(file):
        return replace(examples, soft_targets=saved[0]["soft_targets"].numpy())
    targets = soft_targets(examples, classes, seed=preset.seed, hand_made=hand_made, progress=progress)
    file.parent.mkdir(parents=True, exist_ok=True)
    save(file, {"soft_targets": torch.from_numpy(targets)}, {})
    return replace(examples, soft_targets=targets)


def _pictures(examples: Examples, seed: int, hand_made: PictureFeatures | None) -> Float[np.ndarray, "N F"]:
    """The vectors of the pictures; zeros where there is none."""
    has = examples.present[:, 0]
    if not has.any():
        return np.zeros((len(examples), 1))
    seen = PictureKernel(seed=seed, features=hand_made).fit_transform(examples.take(has).pictures)
    described = np.zeros((len(examples), seen.shape[1]), seen.dtype)
    described[has] = seen
    return described


def _folds(products: Shaped[np.ndarray, " N"], random: np.random.Generator) -> Int[np.ndarray, " N"]:
    """The fold of each listing; listings of one product share a fold."""
    names, place = np.unique(products, return_inverse=True)
    return (random.permutation(len(names)) % _FOLDS)[place]


def _cross_fitted(
    features: Any, labels: Int[np.ndarray, " N"], fold: Int[np.ndarray, " N"], classes: int, random: np.random.Generator
) -> Logs:
    logs = np.empty((len(labels), classes))
    for number in np.unique(fold):
        trained_on = random.permutation(np.flatnonzero((fold != number) & (labels >= 0)))[:_MOST]
        held_out = fold == number
        logs[held_out] = Classifier(features[trained_on], labels[trained_on], classes)(features[held_out])
    return logs
