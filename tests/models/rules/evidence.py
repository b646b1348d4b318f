"""Labelled tags that tests certify."""

import numpy as np
from numpy.typing import NDArray

from models.rules.certificates import Promise
from models.rules.certify import Evidence

Floats = NDArray[np.floating]

PROMISE = Promise()


def apart(confidence: Floats, right: NDArray[np.bool_]) -> Evidence:
    """Each listing is of a product of its own."""
    return Evidence(confidence, right, np.arange(len(right)), 0.0)
