"""The results of an evaluation, and their JSON form."""

import json
from dataclasses import dataclass
from math import nan
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter

Number = Annotated[float, BeforeValidator(lambda stored: nan if stored is None else stored)]


@dataclass(frozen=True)
class Estimate:
    """A metric and its 95 % interval; NaN (null in JSON) where it does not exist."""

    value: Number
    low: Number
    high: Number


@dataclass(frozen=True)
class Subset:
    """Every metric of `metrics.METRICS` on some labelled listings, with intervals by bootstrap over their products.

    `outside` of the listings have none of the taxonomy's values. `promise_kept` is the share of the resamples in which
    the precision of accepted tags reaches the target; NaN where none is accepted.
    """

    labelled: int
    outside: int
    products: int
    metrics: dict[str, Estimate]
    promise_kept: Number


@dataclass(frozen=True)
class ValueMetrics:
    """Metrics of one value. Intervals are Clopper–Pearson's, as if listings were independent; F1's is by bootstrap."""

    value: str
    labelled: int
    predicted: int
    accepted: int  # accepted tags with this value
    precision: Estimate
    recall: Estimate
    f1: Estimate
    accepted_precision: Estimate
    accepted_recall: Estimate


@dataclass(frozen=True)
class Bin:
    """The listings whose calibrated confidence lies between `low` and `high`."""

    low: float
    high: float
    listings: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class CurvePoint:
    """Coverage and precision if all tags at or above `threshold` were accepted."""

    threshold: float
    coverage: float
    precision: float


@dataclass(frozen=True)
class AttributeResults:
    """One attribute. `feeds` and `kinds` (picture and title, picture only, title only) hold the subsets that are large
    enough and not the whole; `confusion[i][j]` counts the listings labelled with value i and tagged with value j."""

    overall: Subset
    feeds: dict[str, Subset]
    kinds: dict[str, Subset]
    values: list[ValueMetrics]
    confusion: list[list[int]]
    reliability: list[Bin]
    curve: list[CurvePoint]


@dataclass(frozen=True)
class Results:
    """A model on the listings of one split, which `feeds` counts by feed. Attributes without a label are left out."""

    split: str
    feeds: dict[str, int]
    target_precision: float
    attributes: dict[str, AttributeResults]

    @property
    def listings(self) -> int:
        return sum(self.feeds.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain values for strict JSON, with null for NaN. `RESULTS` reads them."""
        return json.loads(RESULTS.dump_json(self))


RESULTS = TypeAdapter(Results)
