"""What an evaluation found, as plain numbers that are stored as JSON."""

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
    """Every metric of `metrics.METRICS` on some labelled listings, with intervals by bootstrap over their products."""

    labelled: int
    products: int
    metrics: dict[str, Estimate]


@dataclass(frozen=True)
class ValueMetrics:
    """Of one value. Intervals are Clopper–Pearson's, which take listings as independent; that of F1 is by bootstrap."""

    value: str
    labelled: int
    predicted: int
    accepted: int  # tags with this value that are relied on
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
    """If all tags at or above `threshold` were accepted."""

    threshold: float
    coverage: float
    precision: float


@dataclass(frozen=True)
class AttributeResults:
    """`feeds` and `kinds` (picture and title, picture only, title only) are there where they differ from `overall` and
    have listings enough; `confusion[i][j]` counts the listings labelled with value i and tagged with value j."""

    overall: Subset
    feeds: dict[str, Subset]
    kinds: dict[str, Subset]
    values: list[ValueMetrics]
    confusion: list[list[int]]
    reliability: list[Bin]
    curve: list[CurvePoint]


@dataclass(frozen=True)
class Results:
    """Of a model on the labelled listings of one split, counted by feed. Attributes without a label are left out."""

    split: str
    feeds: dict[str, int]
    target_precision: float
    attributes: dict[str, AttributeResults]

    @property
    def listings(self) -> int:
        return sum(self.feeds.values())

    def to_dict(self) -> dict[str, Any]:
        """As strict JSON holds it: null for NaN. `RESULTS` reads it."""
        plain: dict[str, Any] = json.loads(RESULTS.dump_json(self))
        return plain


RESULTS = TypeAdapter(Results)
