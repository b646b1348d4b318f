"""Evidence that a listing is not what it says: picture and title apart, modalities in conflict, label against tag."""

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from models.features import Predictions

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]

KINDS = ("mismatch", "modality_conflict", "label_conflict")
_PRECISION_WANTED = 0.8
_ASSUMED_SHARE = 0.05  # of noisy listings, when a threshold is chosen on injected noise


@dataclass(frozen=True)
class NoiseRules:
    """What turns predictions into scores, and from which score on a listing is flagged.

    `mismatch` holds the weights of a logistic regression over `mismatch_evidence`, its bias last; `priors` are the
    shares of each value among labelled listings; `quality` is what the scores achieve on injected noise.
    """

    mismatch: list[float]
    priors: list[list[float]]
    thresholds: dict[str, float]
    quality: dict[str, dict[str, float]]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        return cls(**data)

    def mismatch_score(self, predictions: Predictions) -> Floats:
        """(N,) probability that picture and title do not belong together."""
        evidence = mismatch_evidence(predictions, self.priors)
        return np.asarray(expit(evidence @ np.array(self.mismatch[:-1]) + self.mismatch[-1]))


def mismatch_evidence(predictions: Predictions, priors: list[list[float]]) -> Floats:
    """(N, 1 + 2K): cosine of the towers; per task, how much likelier the picture's and the title's values are to be
    one than by chance (log Σ_v p_I(v) p_T(v) / p(v)), and the conflict score."""
    columns = [predictions.similarity]
    for image, title, prior in zip(predictions.image_logits, predictions.title_logits, priors, strict=True):
        agreement = (softmax(image, axis=1) * softmax(title, axis=1) / np.array(prior)).sum(axis=1)
        columns += [np.log(agreement + 1e-3), conflict_score(image, title)]
    return np.stack(columns, axis=1)


def conflict_score(image_logits: Floats, title_logits: Floats) -> Floats:
    """(N,) how surely the picture alone and the title alone name different values: the less sure of the two."""
    image, title = softmax(image_logits, axis=1), softmax(title_logits, axis=1)
    sure: Floats = np.minimum(image.max(1), title.max(1))
    return np.where(image.argmax(1) != title.argmax(1), sure, 0.0)


def label_conflict_score(probabilities: Floats, labels: Ints) -> Floats:
    """(N,) confidence of the tag minus that of the merchant's label, 0 where they agree or no label is (−1)."""
    rows = np.arange(len(labels))
    margin = probabilities.max(1) - probabilities[rows, np.maximum(labels, 0)]
    return np.where(labels >= 0, margin, 0.0)


def fit_noise_rules(
    original: Predictions, swapped: Predictions, probabilities: list[Floats], labels: Ints, *, seed: int = 0
) -> NoiseRules:
    """Learns on validation listings: `swapped` are the same pictures under other listings' titles, and wrong labels
    are drawn at random. Weights are fitted on one half, thresholds and quality taken on the other."""
    generator = np.random.default_rng(seed)
    priors = [_shares(labels[:, k], task.shape[1]) for k, task in enumerate(original.logits)]
    evidence = np.concatenate([mismatch_evidence(part, priors) for part in (original, swapped)])
    is_swapped = np.repeat([0, 1], len(labels))
    half = np.tile(generator.random(len(labels)) < 0.5, 2)
    scale = evidence[half].std(axis=0) + 1e-6
    fit = LogisticRegression(C=1.0).fit(evidence[half] / scale, is_swapped[half])
    weights = [*(fit.coef_[0] / scale), fit.intercept_[0]]
    rules = NoiseRules([float(w) for w in weights], priors, {}, {})
    other = ~half[: len(labels)]
    kinds = {"mismatch": [(rules.mismatch_score(original)[other], rules.mismatch_score(swapped)[other])]}
    kinds["modality_conflict"], kinds["label_conflict"] = [], []
    for k, task in enumerate(probabilities):
        conflict = [conflict_score(p.image_logits[k], p.title_logits[k])[other] for p in (original, swapped)]
        kinds["modality_conflict"].append((conflict[0], conflict[1]))
        known = np.flatnonzero(labels[:, k] >= 0)
        classes = task.shape[1]
        wrong = (labels[known, k] + generator.integers(1, max(classes, 2), len(known))) % classes
        kinds["label_conflict"].append(
            (label_conflict_score(task[known], labels[known, k]), label_conflict_score(task[known], wrong))
        )
    thresholds, quality = {}, {}
    for kind, pairs in kinds.items():
        clean, noisy = (np.concatenate(part) for part in zip(*pairs, strict=True))
        thresholds[kind], quality[kind] = _choose_threshold(clean, noisy)
    return NoiseRules(rules.mismatch, priors, thresholds, quality)


def _choose_threshold(clean: Floats, noisy: Floats) -> tuple[float, dict[str, float]]:
    """The lowest score whose flags are right 80 % of the time if 5 % of listings are noisy; or the best F1's."""
    if not len(clean) or not len(noisy):
        return 1.0, {}
    truth = np.repeat([0, 1], [len(clean), len(noisy)])
    scores = np.concatenate([clean, noisy])
    weight = np.where(truth == 1, _ASSUMED_SHARE / len(noisy), (1 - _ASSUMED_SHARE) / len(clean))
    precision, recall, thresholds = precision_recall_curve(truth, scores, sample_weight=weight)
    precision, recall = precision[:-1], recall[:-1]
    good = np.flatnonzero((precision >= _PRECISION_WANTED) & (recall > 0))
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    chosen = int(good[0]) if len(good) else int(f1.argmax())
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
