"""Evidence that a listing is not what it says: picture and title apart, modalities in conflict, label against tag."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

if TYPE_CHECKING:
    from models.engines.interface import Predictions

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]


@dataclass(frozen=True)
class Alone:
    """What each modality says by itself: per task, calibrated probabilities (N, C_k) of picture and of title."""

    image: list[Floats]
    title: list[Floats]
    similarity: Floats  # (N,) cosine of the towers' global embeddings
    match: Floats  # (N,) logit of the matching head


@dataclass(frozen=True)
class NoiseRules:
    """What turns predictions into scores, and from which score on a listing is flagged.

    The temperatures calibrate the probes; `mismatch` holds the weights of a logistic regression over
    `mismatch_evidence`, its bias last; `priors` are the shares of each value among labelled listings; `quality` is
    what the scores achieve on injected noise.
    """

    image_temperatures: list[float]
    title_temperatures: list[float]
    priors: list[list[float]]
    mismatch: list[float]
    thresholds: dict[str, float]
    quality: dict[str, dict[str, float]]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "NoiseRules":
        return cls(**data)

    def alone(self, predictions: "Predictions") -> Alone:
        """Overconfident probes would see conflicts everywhere, so they are calibrated first."""
        return Alone(
            [softmax(z / t, axis=1) for z, t in zip(predictions.image_logits, self.image_temperatures, strict=True)],
            [softmax(z / t, axis=1) for z, t in zip(predictions.title_logits, self.title_temperatures, strict=True)],
            predictions.similarity,
            predictions.match,
        )

    def mismatch_score(self, alone: Alone) -> Floats:
        """(N,) probability that picture and title do not belong together, if half of the listings were so."""
        weights = np.array(self.mismatch)
        return np.asarray(expit(mismatch_evidence(alone, self.priors) @ weights[:-1] + weights[-1]))


def mismatch_evidence(alone: Alone, priors: list[list[float]]) -> Floats:
    """(N, 2 + 2K): cosine of the towers; the matching head's logit; per task, how much likelier the picture's and the
    title's values are to be one than by chance (log Σ_v p_I(v) p_T(v) / p(v)), and the conflict score."""
    columns = [alone.similarity, alone.match]
    for image, title, prior in zip(alone.image, alone.title, priors, strict=True):
        columns += [np.log((image * title / np.array(prior)).sum(axis=1) + 1e-3), conflict_score(image, title)]
    return np.stack(columns, axis=1)


def conflict_score(image: Floats, title: Floats) -> Floats:
    """(N,) how surely the picture alone and the title alone (probabilities) name different values: the less sure of
    the two, 0 where they agree."""
    sure: Floats = np.minimum(image.max(1), title.max(1))
    return np.where(image.argmax(1) != title.argmax(1), sure, 0.0)


def label_conflict_score(probabilities: Floats, labels: Ints) -> Floats:
    """(N,) confidence of the tag minus that of the merchant's label, 0 where they agree or no label is (−1)."""
    rows = np.arange(len(labels))
    margin = probabilities.max(1) - probabilities[rows, np.maximum(labels, 0)]
    return np.where(labels >= 0, margin, 0.0)
