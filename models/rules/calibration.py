"""Temperature scaling, and how far confidences are from accuracies."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]
Bools = NDArray[np.bool_]
BINS = 15  # of the expected calibration error


def fit_temperature(logits: Floats, labels: Ints) -> float:
    """The temperature that makes labelled logits most likely (Guo et al. 2017); 1 where nothing is labelled."""
    from scipy.optimize import minimize_scalar  # a second to load, which only training needs

    known = labels >= 0
    if not known.any():
        return 1.0
    logits, labels = logits[known], labels[known]
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        return float(-log_softmax(logits / np.exp(log_temperature), axis=1)[rows, labels].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))


def expected_calibration_error(confidence: Floats, right: Bools, weights: Floats, bins: int = BINS) -> Floats:
    """The mean distance between confidence and accuracy over equally wide bins of [0, 1], weighted by their listings.

    Of N listings under R weightings (R, N): (R,), NaN where no listing weighs anything.
    """
    gaps = weights @ (among_bins(confidence, bins) * (confidence - right)[:, None])
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(gaps).sum(axis=1) / weights.sum(axis=1))


def among_bins(confidence: Floats, bins: int = BINS) -> Bools:
    """(N, bins) true in the one of the equally wide bins of [0, 1] that each confidence falls into."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return np.asarray(place[:, None] == np.arange(bins))
