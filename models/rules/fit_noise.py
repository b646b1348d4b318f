"""Learns the noise rules on validation listings with injected noise."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from models.engines.interface import Predictions
from models.rules.calibration import fit_temperature
from models.rules.noise import NoiseRules, conflict_score, label_conflict_score, mismatch_evidence

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]

_PRECISION_WANTED = 0.8
_WORTHWHILE_RECALL = 0.1  # a threshold that finds less is given up for the best F1's
_ASSUMED_SHARE = 0.05  # of noisy listings, when a threshold is chosen on injected noise


def fit_noise_rules(
    original: Predictions, swapped: Predictions, probabilities: list[Floats], labels: Ints, *, seed: int = 0
) -> NoiseRules:
    """`swapped` are the same pictures under other listings' titles; `probabilities` are the tags'; wrong labels are
    drawn at random. Weights are fitted on one half of the listings, thresholds and quality taken on the other."""
    generator = np.random.default_rng(seed)
    rules = NoiseRules(
        image_temperatures=[fit_temperature(z, labels[:, k]) for k, z in enumerate(original.image_logits)],
        title_temperatures=[fit_temperature(z, labels[:, k]) for k, z in enumerate(original.title_logits)],
        priors=[_shares(labels[:, k], task.shape[1]) for k, task in enumerate(original.logits)],
        mismatch=[],
        thresholds={},
        quality={},
    )
    half = generator.random(len(labels)) < 0.5
    belong, differ = rules.alone(original), rules.alone(swapped)
    evidence = [mismatch_evidence(alone, rules.priors) for alone in (belong, differ)]
    rules.mismatch.extend(_logistic_weights(evidence[0][half], evidence[1][half]))

    pairs: dict[str, list[tuple[Floats, Floats]]] = {
        "mismatch": [(rules.mismatch_score(belong)[~half], rules.mismatch_score(differ)[~half])],
        "modality_conflict": [],
        "label_conflict": [],
    }
    for k, task in enumerate(probabilities):
        clean, noisy = (conflict_score(alone.image[k], alone.title[k])[~half] for alone in (belong, differ))
        pairs["modality_conflict"].append((clean, noisy))
        known = np.flatnonzero(labels[:, k] >= 0)
        given, classes = labels[known, k], task.shape[1]
        wrong = (given + generator.integers(1, classes, len(known))) % classes
        pairs["label_conflict"].append(
            (label_conflict_score(task[known], given), label_conflict_score(task[known], wrong))
        )
    for kind, scores in pairs.items():
        clean, noisy = (np.concatenate(part) for part in zip(*scores, strict=True))
        rules.thresholds[kind], rules.quality[kind] = _choose_threshold(clean, noisy)
    return rules


def _logistic_weights(clean: Floats, noisy: Floats) -> list[float]:
    """Of the evidence as it is (standardised only while fitting), the bias last."""
    evidence, truth = np.concatenate([clean, noisy]), np.repeat([0, 1], [len(clean), len(noisy)])
    scale = evidence.std(axis=0) + 1e-6
    fit = LogisticRegression().fit(evidence / scale, truth)
    return [float(weight) for weight in (*(fit.coef_[0] / scale), fit.intercept_[0])]


def _choose_threshold(clean: Floats, noisy: Floats) -> tuple[float, dict[str, float]]:
    """The lowest score whose flags are right 80 % of the time if 5 % of listings are noisy; or the best F1's,
    where that would find next to nothing."""
    if not len(clean):
        return 1.0, {}
    truth = np.repeat([0, 1], [len(clean), len(noisy)])
    scores = np.concatenate([clean, noisy])
    weight = np.where(truth == 1, _ASSUMED_SHARE / len(noisy), (1 - _ASSUMED_SHARE) / len(clean))
    precision, recall, thresholds = precision_recall_curve(truth, scores, sample_weight=weight)
    precision, recall = precision[:-1], recall[:-1]
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    sure = np.where(precision >= _PRECISION_WANTED, recall, 0.0)
    chosen = int((sure if sure.max() >= _WORTHWHILE_RECALL else f1).argmax())
    return float(thresholds[chosen]), {
        "average_precision": float(average_precision_score(truth, scores, sample_weight=weight)),
        "auroc": float(roc_auc_score(truth, scores)),
        "precision": float(precision[chosen]),
        "recall": float(recall[chosen]),
        "assumed_share": _ASSUMED_SHARE,
    }


def _shares(labels: Ints, classes: int) -> list[float]:
    counts = np.bincount(labels[labels >= 0], minlength=classes) + 1.0
    return [float(share) for share in counts / counts.sum()]
