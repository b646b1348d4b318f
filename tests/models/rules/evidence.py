"""Labelled tags that tests certify."""

import numpy as np

from models.inputs.arrays import Bools, Floats
from models.rules.certificates import Promise
from models.rules.certify import Evidence

PROMISE = Promise()
NEVER = -60.0  # logit of an answer that is next to impossible


def with_none(logits: Floats) -> Floats:
    """(N, C) logits of values → (N, C + 1), with "none of these values" next to impossible."""
    return np.concatenate([logits, np.full((len(logits), 1), NEVER, logits.dtype)], axis=1)


def apart(confidence: Floats, right: Bools) -> Evidence:
    """Each listing is of a product of its own."""
    return Evidence(confidence, right, np.arange(len(right)), 0.0)
