"""From logits to a promise: a temperature per head, and the lowest threshold that is certified for a precision."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, log_softmax, softmax

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]


_STARTS = (0.2, 0.5)  # of the listings, the most confident first


@dataclass(frozen=True)
class Calibration:
    """Of one attribute. `threshold` None: nothing could be certified, every value abstains."""

    temperature: float
    threshold: float | None

    def probabilities(self, logits: Floats) -> Floats:
        """(N, C) logits → (N, C) calibrated probabilities."""
        scaled: Floats = softmax(logits / self.temperature, axis=1)
        return scaled


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


def certify_threshold(
    confidence: Floats, right: NDArray[np.bool_], *, target: float, confidence_level: float
) -> float | None:
    """Learn-then-Test with fixed-sequence testing (Angelopoulos et al. 2021): walks down the confidences, and stops at
    the first threshold whose precision is not above `target` by the exact binomial test.

    One walk starts high and one in the middle, since a few wrong labels at the top would end a single one at once; they
    share the allowed risk δ = 1 − `confidence_level` evenly. The places tested depend on how many listings there are,
    never on which are right, so no further correction is due.
    """
    delta = 1.0 - confidence_level
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence, hits = confidence[order], np.cumsum(right[order])
    fewest = int(np.ceil(np.log(delta) / np.log(target)))  # so many right, none wrong, are the least that can pass
    starts = sorted({max(fewest, round(share * len(right))) for share in _STARTS})
    certified: list[float] = []
    for start in starts:
        for accepted in range(start, len(right) + 1, max(1, len(right) // 50)):
            threshold = float(sorted_confidence[accepted - 1])
            all_at_threshold = int(np.searchsorted(-sorted_confidence, -threshold, side="right"))
            p_value = bdtrc(hits[all_at_threshold - 1] - 1, all_at_threshold, target)
            if p_value > delta / len(starts):
                break
            certified.append(threshold)
    return min(certified, default=None)


def calibrate(
    logits: Floats, labels: Ints, *, temperature: float, target_precision: float, confidence_level: float
) -> Calibration:
    """Certifies a threshold on listings that neither training nor the temperature has seen."""
    known = labels >= 0
    probabilities = Calibration(temperature, None).probabilities(logits[known])
    right = probabilities.argmax(1) == labels[known]
    threshold = certify_threshold(
        probabilities.max(1), right, target=target_precision, confidence_level=confidence_level
    )
    return Calibration(temperature, threshold)
