"""What an evaluation found, as plain numbers that are stored as JSON."""

from dataclasses import asdict, dataclass
from math import isnan
from typing import Any


@dataclass(frozen=True)
class Estimate:
    """A metric and its 95 % interval; NaN (null in JSON) where it does not exist."""

    value: float
    low: float
    high: float


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

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "AttributeResults":
        return cls(
            overall=_subset(data["overall"]),
            feeds={name: _subset(part) for name, part in data["feeds"].items()},
            kinds={name: _subset(part) for name, part in data["kinds"].items()},
            values=[_value_metrics(row) for row in data["values"]],
            confusion=data["confusion"],
            reliability=[Bin(**row) for row in data["reliability"]],
            curve=[CurvePoint(**row) for row in data["curve"]],
        )


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
        plain: dict[str, Any] = _without_nan(asdict(self))
        return plain

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Results":
        attributes = {name: AttributeResults.from_dict(part) for name, part in data["attributes"].items()}
        return cls(**{**data, "attributes": attributes})


def _subset(data: dict[str, Any]) -> Subset:
    metrics = {name: _estimate(metric) for name, metric in data["metrics"].items()}
    return Subset(**{**data, "metrics": metrics})


def _value_metrics(data: dict[str, Any]) -> ValueMetrics:
    estimates = {name: _estimate(part) for name, part in data.items() if isinstance(part, dict)}
    return ValueMetrics(**{**data, **estimates})


def _estimate(data: dict[str, float | None]) -> Estimate:
    return Estimate(**{name: float("nan") if number is None else number for name, number in data.items()})


def _without_nan(data: Any) -> Any:
    """JSON knows no NaN."""
    if isinstance(data, dict):
        return {key: _without_nan(part) for key, part in data.items()}
    if isinstance(data, list):
        return [_without_nan(part) for part in data]
    return None if isinstance(data, float) and isnan(data) else data
