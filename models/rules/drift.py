"""Drift: whether a feed's new listings are still distributed like those of the time when it was certified.

New listings have confidences at once, labels late or never, so the two-sample Kolmogorov–Smirnov test compares the
confidences: of new listings, labelled or not, with those of the calibration split, labelled or not. A shift does not
prove that the promise is broken, only that the certificates no longer support it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import kolmogorov

from models.inputs.arrays import Floats
from models.rules.certificates import Calibration

FEWEST = 200  # new listings that a comparison needs
_MOST_P = 1e-3  # a false alarm in a thousand comparisons
_LEAST_DISTANCE = 0.1  # a smaller shift does not matter, however significant it is


@dataclass(frozen=True)
class Drift:
    """The test of one attribute; `statistic` is the largest distance of the two cumulative distributions."""

    listings: int
    statistic: float
    p_value: float

    @property
    def drifted(self) -> bool:
        return self.p_value < _MOST_P and self.statistic >= _LEAST_DISTANCE


def compare_scores(calibration: Calibration, confidence: Floats) -> Drift:
    """Compares (N,) confidences of new listings with those of the feed when it was certified; neither may be empty."""
    # float32 like the catalogue, so that equal confidences stay equal.
    before, now = np.array(calibration.confidences, dtype=np.float32), np.sort(confidence.astype(np.float32))
    places = np.concatenate([before, now])
    distance = np.abs(
        np.searchsorted(before, places, side="right") / len(before)
        - np.searchsorted(now, places, side="right") / len(now)
    ).max()
    effective = calibration.compared * len(now) / (calibration.compared + len(now))
    return Drift(len(now), float(distance), float(kolmogorov(np.sqrt(effective) * distance)))
