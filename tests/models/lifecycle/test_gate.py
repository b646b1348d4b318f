from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import TypeAdapter

from models.engines.interface import Predictions
from models.lifecycle.gate import Gate, compare

RANDOM = np.random.default_rng(0)
LOGITS = [RANDOM.normal(size=(100, count)).astype(np.float32) * 3 for count in (5, 2)]


def predictions(logits: list[NDArray[np.float32]]) -> Predictions:
    return Predictions(
        logits, np.full((100, 2), 0.5, np.float32), logits, logits, np.zeros(100, np.float32), np.zeros(100, np.float32)
    )


REFERENCE = predictions(LOGITS)


def test_the_same_answers_pass() -> None:
    gate = compare(REFERENCE, predictions([task + 1e-4 for task in LOGITS]))
    assert gate.passed and (gate.listings, gate.agreement) == (100, 1.0) and gate.probability_error < 1e-6
    assert TypeAdapter(Gate).dump_python(gate)["passed"] is True
    assert str(gate).startswith("argmax agreement 100.00% (at least 98%)")


def test_numerical_error_is_refused() -> None:
    noisy = [task + RANDOM.normal(size=task.shape).astype(np.float32) for task in LOGITS]
    assert not compare(REFERENCE, predictions(noisy)).passed
    hesitant = compare(REFERENCE, predictions([task / 2 for task in LOGITS]))  # the same argmax everywhere
    assert hesitant.agreement == 1.0 and not hesitant.passed
    few = [task.copy() for task in LOGITS]
    few[1][:5] = few[1][:5, ::-1]
    assert compare(REFERENCE, predictions(few)).agreement == 0.975
    assert not compare(REFERENCE, predictions(few)).passed


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_none_is_refused(broken: float) -> None:
    logits = [task.copy() for task in LOGITS]
    logits[0][17, 2] = broken
    assert compare(REFERENCE, predictions(logits)) == Gate(100, 0.0, 1.0)
    assert not compare(REFERENCE, replace(REFERENCE, similarity=np.full(100, broken, np.float32))).passed
