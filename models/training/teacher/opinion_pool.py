"""The log-linear opinion pool (Genest and Zidek 1986), which combines heads and probes with three weights an attribute.

Heads learn from listings that the towers have memorised, and trust the towers too much. The weights of the pool are
fitted on listings that nothing was learned from (docs/decisions/0010).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.optimize import minimize
from scipy.special import log_softmax

from models.engines.features import classify, encode
from models.engines.interface import Features
from models.engines.torch_engine import TorchEngine
from models.inputs.examples import Examples, other_rows, whole_pairs
from models.network.cma_clip import CmaClip

HEAD_ALONE = torch.tensor([1.0, 0.0, 0.0])  # weights of head, image probe and title probe
_MOST = 5.0  # largest weight of a source


def pooling_weights(
    evidence: Float[np.ndarray, "S N C"],
    labels: Int[np.ndarray, " N"],
    *,
    start: Sequence[float] | None = None,
    counts: Float[np.ndarray, " N"] | None = None,
    least: float = -_MOST,
) -> Float[np.ndarray, " S"]:
    """The weights of S sources' log-probabilities under which the labels are likeliest, each from `least` to 5.

    `start` is where the search begins (1 each), and the result where there are no labels. `counts` weighs the listings
    (1 each).
    """
    first = np.ones(len(evidence)) if start is None else np.asarray(start)
    if not len(labels):
        return first
    rows = np.arange(len(labels))

    def loss(weights: Float[np.ndarray, " S"]) -> float:
        likelihood = log_softmax(np.tensordot(weights, evidence, axes=1), axis=1)[rows, labels]
        return float(-np.average(likelihood, weights=counts))

    return np.asarray(minimize(loss, first, method="L-BFGS-B", bounds=[(least, _MOST)] * len(first)).x)


class Shown(NamedTuple):
    """Listings that a pool is fitted on; `counts` weighs them."""

    features: Features
    present: Bool[np.ndarray, "N 2"]
    labels: Int[np.ndarray, "N K"]
    counts: Float[np.ndarray, " N"]


def fit_pool(network: CmaClip, validation: Examples, *, swapped: float, of_titles: float = 0.5) -> None:
    """Sets the network's pool, so that the labels of the validation listings are likeliest. As in training, a share
    `swapped` of those that have both modalities counts under another's title or with another's picture."""
    another = other_rows(len(validation))
    both = whole_pairs(validation.present, another)
    shown = [
        (validation, np.where(both, 1 - swapped, 1.0)),
        (validation.with_titles_of(another).take(both), np.full(both.sum(), swapped * of_titles)),
        (validation.with_pictures_of(another).take(both), np.full(both.sum(), swapped * (1 - of_titles))),
    ]
    engine = TorchEngine(network)
    fit_pool_on(
        network, [Shown(encode(engine, of), of.present, of.labels, counts) for of, counts in shown if counts.any()]
    )


def fit_pool_on(network: CmaClip, shown: Sequence[Shown]) -> None:
    """Sets the network's pool, so that the labels of these listings are likeliest."""
    network.pool.copy_(HEAD_ALONE)
    evidence = [_evidence(network, of) for of in shown]
    labels, counts = (np.concatenate(parts) for parts in zip(*((of.labels, of.counts) for of in shown), strict=True))
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


def _evidence(network: CmaClip, shown: Shown) -> list[Float[np.ndarray, "3 N _"]]:
    """Per task the log-probabilities of head, image probe and title probe; 0 where the probe's modality is missing."""
    found = classify(network, shown.features, shown.present)
    image, title = shown.present.T[..., None]
    return [
        np.stack([log_softmax(task, axis=1) * seen for task, seen in zip(tasks, (1, image, title), strict=True)])
        for tasks in zip(found.logits, found.image_logits, found.title_logits, strict=True)
    ]
