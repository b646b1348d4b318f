"""The gate: a compiled engine may tag only if it agrees with the reference engine on real listings."""

from dataclasses import dataclass

import numpy as np
from pydantic import computed_field
from scipy.special import softmax

from models.engines.interface import Predictions

LEAST_AGREEMENT = 0.98
MOST_PROBABILITY_ERROR = 0.01


@dataclass(frozen=True)
class Gate:
    """The agreement of an engine with the reference, over all attributes of the compared listings."""

    listings: int
    agreement: float  # share of equal argmaxes
    probability_error: float  # mean absolute difference of probabilities

    @computed_field  # type: ignore[prop-decorator]
    @property
    def passed(self) -> bool:
        return self.agreement >= LEAST_AGREEMENT and self.probability_error <= MOST_PROBABILITY_ERROR

    def __str__(self) -> str:
        return (
            f"argmax agreement {self.agreement:.2%} (at least {LEAST_AGREEMENT:.0%}), mean probability error "
            f"{self.probability_error:.1e} (at most {MOST_PROBABILITY_ERROR:.0e}) on {self.listings} listings"
        )


def compare(reference: Predictions, candidate: Predictions) -> Gate:
    """How far a candidate's predictions agree with the reference's. One NaN or infinity in the candidate's counts as no
    agreement at all."""
    listings = len(reference.similarity)
    if not all(np.isfinite(part).all() for part in (*candidate.logits, candidate.similarity)):
        return Gate(listings, 0.0, 1.0)
    equal, errors = [], []
    for expected, got in zip(reference.logits, candidate.logits, strict=True):
        equal.append(expected.argmax(1) == got.argmax(1))
        errors.append(np.abs(softmax(expected, axis=1) - softmax(got, axis=1)).mean())
    return Gate(listings, float(np.mean(equal)), float(np.mean(errors)))
