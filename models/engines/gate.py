"""Whether a compiled engine may stand in for the reference: the same answers on real listings, or it is refused."""

from dataclasses import asdict, dataclass

import numpy as np
from scipy.special import softmax

from models.features import Predictions

LEAST_AGREEMENT = 0.98
MOST_PROBABILITY_ERROR = 0.01


@dataclass(frozen=True)
class Gate:
    """Over all attributes of `listings` listings: share of equal argmaxes, mean absolute error of probabilities."""

    listings: int
    agreement: float
    probability_error: float

    @property
    def passed(self) -> bool:
        return self.agreement >= LEAST_AGREEMENT and self.probability_error <= MOST_PROBABILITY_ERROR

    def to_dict(self) -> dict[str, float | bool]:
        return {**asdict(self), "passed": self.passed}

    def __str__(self) -> str:
        return (
            f"argmax agreement {self.agreement:.2%} (at least {LEAST_AGREEMENT:.0%}), mean probability error "
            f"{self.probability_error:.1e} (at most {MOST_PROBABILITY_ERROR:.0e}) on {self.listings} listings"
        )


def compare(reference: Predictions, candidate: Predictions) -> Gate:
    """NaNs never agree."""
    equal, errors = [], []
    for expected, got in zip(reference.logits, candidate.logits, strict=True):
        finite = np.isfinite(got).all(axis=1)
        equal.append((expected.argmax(1) == got.argmax(1)) & finite)
        errors.append(np.abs(softmax(expected, axis=1) - softmax(np.nan_to_num(got), axis=1)).mean())
    return Gate(len(equal[0]), float(np.mean(equal)), float(np.mean(errors)))
