"""A small preset and listings that tests of the ablation train variants on."""

from dataclasses import replace

import numpy as np

from models.experiments.outcomes import Outcome
from models.experiments.splits import Compared
from models.experiments.swapped_listings import CONDITIONS
from models.inputs.examples import Examples
from tests.models.tiny import examples


def complete(count: int, seed: int) -> Examples:
    whole = examples(count, seed=seed)
    return replace(whole, present=np.ones((count, 2), dtype=bool))


def outcome(probabilities: list[np.ndarray], *, seconds: float = 1.0, weight: float = np.nan) -> Outcome:
    """The same answers under every condition."""
    shape = (len(probabilities[0]), len(probabilities))
    return Outcome(seconds, dict.fromkeys(CONDITIONS, probabilities), dict.fromkeys(CONDITIONS, np.full(shape, weight)))


def compared(test: Examples, *, named: bool = False) -> Compared:
    """What is known of test listings. `named`: whether every title names the value of its label."""
    names = np.full(test.labels.shape, named)
    return Compared(test.present, test.labels, test.feeds, test.products, test.labels >= 0, names)
