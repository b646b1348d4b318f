"""The learned parameters of the noise scores, and the inputs that the scores are computed from."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import softmax

from models.engines.interface import Predictions
from models.inputs.arrays import Floats, Ints


class NoiseInputs(NamedTuple):
    """What the noise scores of N listings are computed from. Every probability is calibrated.

    `picture` and `title` are the probabilities of all C + 1 answers (the values, and none of them) by the picture alone
    and by the title alone; `tags` those of the C values, from which the tags are made: one array for each of K
    attributes. `similarity` is the cosine of the towers' global embeddings, `match` the logit of the matching head.
    `labels` are the merchant's, −1 for none.
    """

    picture: list[Float[np.ndarray, "N _"]]
    title: list[Float[np.ndarray, "N _"]]
    tags: list[Float[np.ndarray, "N _"]]
    similarity: Float[np.ndarray, " N"]
    match: Float[np.ndarray, " N"]
    labels: Int[np.ndarray, "N K"]


@dataclass(frozen=True)
class NoiseRules:
    """The learned parameters of the noise scores, and by kind (see `kinds.py`) when a listing is flagged.

    `image_temperatures` and `title_temperatures` calibrate the probes of the picture and of the title, one number an
    attribute. `priors` are the shares of each answer among labelled listings. `mismatch` holds the weights of that
    kind's logistic regression, its bias last. A listing is flagged where its score is at least the kind's threshold.
    `quality` is what the scores reach on injected noise.
    """

    image_temperatures: list[float]
    title_temperatures: list[float]
    priors: list[list[float]]
    mismatch: list[float]
    thresholds: dict[str, float]
    quality: dict[str, dict[str, float]]

    def inputs(self, predictions: Predictions, tags: list[Floats], labels: Ints) -> NoiseInputs:
        """The scores' inputs. The probes are calibrated here: overconfident ones would contradict each other
        everywhere."""
        return NoiseInputs(
            picture=_calibrated(predictions.image_logits, self.image_temperatures),
            title=_calibrated(predictions.title_logits, self.title_temperatures),
            tags=tags,
            similarity=predictions.similarity,
            match=predictions.match,
            labels=labels,
        )


def _calibrated(logits: list[Floats], temperatures: list[float]) -> list[Floats]:
    return [softmax(task / temperature, axis=1) for task, temperature in zip(logits, temperatures, strict=True)]
