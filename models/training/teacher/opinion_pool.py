"""Several opinions made one: the log-linear pool (Genest and Zidek 1986), and how much heads and probes count in it.

Heads learn from listings that the towers know by heart, and trust them too much; three weights an attribute, fitted on
listings that nothing was learned from, do not (docs/decisions/0010).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.special import log_softmax

from models.engines.features import classify, encode
from models.engines.torch_engine import TorchEngine
from models.inputs.examples import Examples
from models.network.cma_clip import CmaClip

_MOST = 5.0  # that a source counts


def pooling_weights(
    evidence: Float[np.ndarray, "S N C"],
    labels: Int[np.ndarray, " N"],
    *,
    start: Sequence[float] | None = None,
    counts: Float[np.ndarray, " N"] | None = None,
    least: float = -_MOST,
) -> Float[np.ndarray, " S"]:
    """The weights of the sources' log-probabilities under which the labels are most likely; `start` (1 each) where
    there are no labels. `counts`: how much each listing counts (1 each)."""
    first = np.ones(len(evidence)) if start is None else np.asarray(start)
    if not len(labels):
        return first
    rows = np.arange(len(labels))

    def loss(weights: Float[np.ndarray, " S"]) -> float:
        said = log_softmax(np.tensordot(weights, evidence, axes=1), axis=1)[rows, labels]
        return float(-np.average(said, weights=counts))

    return np.asarray(minimize(loss, first, method="L-BFGS-B", bounds=[(least, _MOST)] * len(first)).x)


def fit_pool(network: CmaClip, validation: Examples, *, swapped: float) -> None:
    """Sets the network's pool, so that the labels of the validation listings are likeliest: shown as training shows
    them, a share `swapped` of those that have both under another's title, or with another's picture."""
    network.pool.copy_(torch.eye(3)[0].expand_as(network.pool))
    another = np.roll(np.arange(len(validation)), 1 + len(validation) // 3)
    both = np.logical_and(*validation.present.T)
    both &= both[another]
    shown = [
        (validation, np.where(both, 1 - swapped, 1.0)),
        (replace(validation, tokens=validation.tokens[another]).take(both), np.full(both.sum(), swapped / 2)),
        (replace(validation, pictures=validation.pictures[another]).take(both), np.full(both.sum(), swapped / 2)),
    ]
    shown = [(examples, counts) for examples, counts in shown if counts.any()]
    evidence = [_evidence(network, examples) for examples, _ in shown]
    labels, counts = (np.concatenate(parts) for parts in zip(*((e.labels, c) for e, c in shown), strict=True))
    for k, of_task in enumerate(zip(*evidence, strict=True)):
        known = labels[:, k] >= 0
        found = pooling_weights(
            np.concatenate(of_task, axis=1)[:, known],
            labels[known, k],
            start=(1.0, 0.0, 0.0),
            counts=counts[known],
            least=0.0,
        )
        network.pool[k] = torch.from_numpy(found)


def _evidence(network: CmaClip, examples: Examples) -> list[Float[np.ndarray, "3 N _"]]:
    """Per task, what head, image probe and title probe say; a probe whose modality is missing says nothing."""
    said = classify(network, encode(TorchEngine(network), examples), examples.present)
    image, title = examples.present.T[..., None]
    return [
        np.stack([log_softmax(task, axis=1) * seen for task, seen in zip(tasks, (1, image, title), strict=True)])
        for tasks in zip(said.logits, said.image_logits, said.title_logits, strict=True)
    ]
