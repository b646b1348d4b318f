"""Temperature scaling, and the expected calibration error."""

import numpy as np
from scipy.special import log_softmax, softmax

from models.inputs.arrays import Bools, Floats, Ints

BINS = 15  # of the expected calibration error


def fit_temperature(logits: Floats, labels: Ints) -> float:
    """The temperature under which the labels (N,) are likeliest given the logits (N, C + 1) (Guo et al. 2017). Listings
    labelled −1 do not count; 1 where nothing is labelled."""
    from scipy.optimize import minimize_scalar  # a second to load, which only training needs

    known = labels >= 0
    if not known.any():
        return 1.0
    logits, labels = logits[known], labels[known]
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        return float(-log_softmax(logits / np.exp(log_temperature), axis=1)[rows, labels].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))


def value_probabilities(logits: Floats, temperature: float | Floats = 1.0) -> Floats:
    """(N, C + 1) logits of an attribute's head → (N, C) probabilities of its C values. What is missing to 1 is the
    probability of "none of these values", the last class. `temperature` is a number, or (N, 1)."""
    probabilities: Floats = softmax(logits / np.float64(temperature), axis=1)[:, :-1]
    return probabilities


def expected_calibration_error(confidence: Floats, right: Bools, weights: Floats, bins: int = BINS) -> Floats:
    """(R,) the mean distance between confidence and accuracy of N listings over equally wide bins of [0, 1], each bin
    by the weight of its listings, under each of the (R, N) weights. NaN where all weights are 0."""
    gaps = weights @ (among_bins(confidence, bins) * (confidence - right)[:, None])
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(gaps).sum(axis=1) / weights.sum(axis=1))


def among_bins(confidence: Floats, bins: int = BINS) -> Bools:
    """(N, bins) one-hot: the one of the equally wide bins of [0, 1] that each confidence falls into."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return np.asarray(place[:, None] == np.arange(bins))
