"""The validation score that chooses a stage's best checkpoint; higher is better."""

import numpy as np
from jaxtyping import Float

from models.engines.features import classify, encode
from models.engines.interface import Features
from models.engines.torch_engine import TorchEngine
from models.inputs.examples import Examples
from models.network.cma_clip import CmaClip
from models.training.parts import Stage

_MOST = 5000  # listings, each of which is compared with every other


class Validation:
    """Scores a network on the validation listings by what its stage trains: heads, else probes, else towers."""

    def __init__(self, network: CmaClip, stage: Stage, examples: Examples) -> None:
        self._stage, self._examples = stage, examples
        self._features = encode(TorchEngine(network), examples) if stage.moves_heads_only else None

    def score(self, network: CmaClip) -> float:
        """Mean accuracy over the tasks; `matching_accuracy` in a stage that moves neither heads nor probes."""
        stage, labels, present = self._stage, self._examples.labels, self._examples.present
        features = self._features or encode(TorchEngine(network), self._examples)
        predictions = classify(network, features, present)
        if "heads" in stage.parts:
            return mean_accuracy(predictions.logits, labels)
        if "probes" in stage.parts:
            sides = [predictions.image_logits] * stage.reads("image_tower")
            sides += [predictions.title_logits] * stage.reads("title_tower")
            return mean_accuracy([task for side in sides for task in side], np.tile(labels, len(sides)))
        return matching_accuracy(features, present)


def matching_accuracy(features: Features, present: np.ndarray) -> float:
    """The share of pairs in which a picture is more similar to its own title than to another listing's, over the first
    5,000 listings that have both. Chance is ½; a tie counts half."""
    both = np.flatnonzero(present.all(axis=1))[:_MOST]
    image, title = (part[both] / np.linalg.norm(part[both], axis=1, keepdims=True) for part in features[2:])
    similarity = image @ title.T
    own = np.diag(similarity)[:, None]
    others = max(len(own) * (len(own) - 1), 1)
    return float(((similarity < own).sum() + ((similarity == own).sum() - len(own)) / 2) / others)


def mean_accuracy(logits: list[Float[np.ndarray, "N _"]], labels: np.ndarray) -> float:
    """Accuracy of the highest logit, averaged over the tasks that have labels (−1: none); 0 if none has any.

    `logits` are (N, C) for each of K tasks, `labels` (N, K).
    """
    shares = []
    for k, task in enumerate(logits):
        known = labels[:, k] >= 0
        if known.any():
            shares.append(float((task[known].argmax(1) == labels[known, k]).mean()))
    return float(np.mean(shares)) if shares else 0.0
