"""Labelled tags that tests certify."""

import numpy as np

from models.inputs.arrays import Bools, Floats
from models.rules.certificates import Promise
from models.rules.certify import Evidence

PROMISE = Promise()


def apart(confidence: Floats, right: Bools) -> Evidence:
    """Each listing is of a product of its own."""
    return Evidence(confidence, right, np.arange(len(right)), 0.0)
