"""Whether the listings that a feed sends now still look like those that its certificates were made on.

Labels of new listings come late or never, confidences at once: the two-sample test of Kolmogorov and Smirnov compares
them. A shift of them does not prove that the promise is broken, only that nothing is known of it any more.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import kolmogorov

from models.rules.certificates import Calibration

Floats = NDArray[np.floating]

FEWEST = 200  # new listings that a comparison needs
_MOST_P = 1e-3  # so rare a distance by chance, once in a thousand comparisons
_LEAST_DISTANCE = 0.1  # smaller ones are of no consequence, however many listings prove them


@dataclass(frozen=True)
class Drift:
    """Of one attribute: `statistic` is the largest distance of the two cumulative distributions of confidences."""

    listings: int
    statistic: float
    p_value: float

    @property
    def drifted(self) -> bool:
        return self.p_value < _MOST_P and self.statistic >= _LEAST_DISTANCE


def compare_scores(calibration: Calibration, confidence: Floats) -> Drift:
    """(N,) confidences of new listings against those of the listings that the feed was certified on; both not empty."""
    # As the catalogue keeps them: equal confidences must stay equal.
    before, now = np.array(calibration.confidences, dtype=np.float32), np.sort(confidence.astype(np.float32))
    places = np.concatenate([before, now])
    distance = np.abs(
        np.searchsorted(before, places, side="right") / len(before)
        - np.searchsorted(now, places, side="right") / len(now)
    ).max()
    certified_on = calibration.certificate.listings
    effective = certified_on * len(now) / (certified_on + len(now))
    return Drift(len(now), float(distance), float(kolmogorov(np.sqrt(effective) * distance)))
