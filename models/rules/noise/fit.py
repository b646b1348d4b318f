"""Learns the noise rules on validation listings with injected noise."""

from dataclasses import replace

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from models.engines.interface import Predictions
from models.inputs.arrays import Bools, Floats, Ints
from models.rules.calibration import fit_temperature
from models.rules.noise.kind import Measured, Trial
from models.rules.noise.kinds import KINDS
from models.rules.noise.mismatch import fit_mismatch, mismatch_evidence
from models.rules.noise.rules import NoiseRules

_TARGET_PRECISION = 0.8  # of the flags
_LEAST_RECALL = 0.25  # of a threshold at the target precision; below it, that of the best F½ is taken instead
_ASSUMED_SHARE = 0.05  # of noisy listings in a catalogue


def fit_noise_rules(
    clean: Predictions, swapped: Predictions, tags: list[Floats], labels: Ints, paired: Bools, *, seed: int = 0
) -> NoiseRules:
    """Noise rules from N validation listings. Weights are fitted on a random half of the listings; thresholds and
    quality are measured on the other half (on all labelled listings for a kind that is fitted on none).

    `swapped` are the same pictures under other listings' titles. `tags` are the calibrated probabilities of the tags,
    (N, C) for each of K attributes. `labels` are (N, K), −1 for none. `paired` (N,) are the listings that have picture
    and title in both; the others count for the label conflict only, since the probe of a blank picture says anything.
    """
    generator = np.random.default_rng(seed)
    shown = np.where(paired[:, None], labels, -1)
    rules = NoiseRules(
        image_temperatures=[fit_temperature(z, shown[:, k]) for k, z in enumerate(clean.image_logits)],
        title_temperatures=[fit_temperature(z, shown[:, k]) for k, z in enumerate(clean.title_logits)],
        priors=[_smoothed_shares(labels[:, k], task.shape[1]) for k, task in enumerate(clean.logits)],
        mismatch=[],
        thresholds={},
        quality={},
    )
    fitted = generator.random(len(labels)) < 0.5
    held_out = paired & ~fitted
    trial = Trial(rules.inputs(clean, tags, labels), rules.inputs(swapped, tags, labels), held_out, generator)
    evidence = (mismatch_evidence(inputs, rules.priors)[paired & fitted] for inputs in (trial.clean, trial.swapped))
    rules = replace(rules, mismatch=fit_mismatch(*evidence))
    chosen = {name: _choose_threshold(*kind.measure(trial, rules)) for name, kind in KINDS.items()}
    return replace(
        rules,
        thresholds={name: threshold for name, (threshold, _) in chosen.items()},
        quality={name: quality for name, (_, quality) in chosen.items()},
    )


def _choose_threshold(*pairs: Measured) -> tuple[float, dict[str, float]]:
    """The lowest score whose flags reach 80 % precision if 5 % of listings are noisy, and its quality. Where that one
    would find less than a quarter of the noise, the threshold of the best F½, which weighs precision more than recall;
    1 where nothing was measured.

    The clean listings are as the catalogue has them. Where some of these are wrong in truth, they count as wrong flags:
    the true precision is higher than the measured one (docs/decisions/0016).
    """
    clean, noisy = (np.concatenate(scores) for scores in zip(*pairs, strict=True))
    if not len(clean):
        return 1.0, {}
    truth = np.repeat([0, 1], [len(clean), len(noisy)])
    scores = np.concatenate([clean, noisy])
    weight = np.where(truth == 1, _ASSUMED_SHARE / len(noisy), (1 - _ASSUMED_SHARE) / len(clean))
    precision, recall, thresholds = precision_recall_curve(truth, scores, sample_weight=weight)
    precision, recall = precision[:-1], recall[:-1]
    f_half = 1.25 * precision * recall / np.maximum(0.25 * precision + recall, 1e-9)
    recall_at_target = np.where(precision >= _TARGET_PRECISION, recall, 0.0)
    chosen = int((recall_at_target if recall_at_target.max() >= _LEAST_RECALL else f_half).argmax())
    return float(thresholds[chosen]), {
        "average_precision": float(average_precision_score(truth, scores, sample_weight=weight)),
        "auroc": float(roc_auc_score(truth, scores)),
        "precision": float(precision[chosen]),
        "recall": float(recall[chosen]),
        "assumed_share": _ASSUMED_SHARE,
    }


def _smoothed_shares(labels: Ints, classes: int) -> list[float]:
    """The share of each class among the labels, with one more label of each: no share is 0."""
    counts = np.bincount(labels[labels >= 0], minlength=classes) + 1.0
    return [float(share) for share in counts / counts.sum()]
