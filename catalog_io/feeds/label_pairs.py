"""Label words that a feed keeps as pairs of a name and a value, as shops export their attributes and options."""

import csv
import re
from collections.abc import Iterable

import polars as pl
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from schemas.attribute import fold

_SEVERAL = re.compile(r"[,;|]")


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class LabelPairs:
    """The value of the first pair that has one of the names `called`: of numbered columns, or of one cell.

    A value that lists several words, such as the colours of all variants, is no label.
    """

    called: list[str]
    """The merchant's names of the attribute, such as Color and Colour; capitals do not matter."""
    name: str | None = None
    """Columns of names; * stands for their numbers: `Attribute * name`."""
    value: str | None = None
    """Columns of values: `Attribute * value(s)`."""
    pairs: str | None = None
    """Instead of `name` and `value`: a column whose cells have all pairs: `color=Red,size=M`."""

    def __post_init__(self) -> None:
        numbered = [self.name, self.value]
        if not self.called or not (
            (self.pairs and numbered == [None, None])
            or (not self.pairs and all(column and column.count("*") == 1 for column in numbered))
        ):
            raise ValueError(
                "a label in pairs needs `called`, and `name` and `value` with one * each, or `pairs`: "
                '{ name = "Attribute * name", value = "Attribute * value(s)", called = ["Color"] }'
            )

    def columns(self, found: Iterable[str]) -> list[tuple[str, str]]:
        """The columns of names and of values that are among those found, in the order of their numbers."""
        assert self.name is not None and self.value is not None
        found = list(found)
        before, after = self.name.split("*")
        numbers = [
            int(name[len(before) : len(name) - len(after)])
            for name in found
            if re.fullmatch(re.escape(before) + r"[0-9]{1,4}" + re.escape(after), name)
        ]
        both = [(f"{before}{n}{after}", self.value.replace("*", str(n))) for n in sorted(set(numbers))]
        return [(name, value) for name, value in both if name in found and value in found]

    def needed(self, found: Iterable[str]) -> list[str]:
        """The columns that the words are taken from."""
        return [self.pairs] if self.pairs else [name for pair in self.columns(found) for name in pair]

    def shown(self) -> str:
        """The columns, for a message."""
        return self.pairs or f"{self.name} with {self.value}"

    def words(self, rows: pl.DataFrame) -> pl.Series:
        """The label word of each row; null where it has none or several."""
        called = {fold(name) for name in self.called}
        if self.pairs:
            cells = rows[self.pairs].cast(pl.String)
            found = pl.Series([cell and _pair(cell, called) for cell in cells], dtype=pl.String)
        else:
            found = pl.Series([None] * rows.height, dtype=pl.String)
            for name, value in self.columns(rows.columns):
                names = rows[name].alias("name").cast(pl.String)
                ours = [written for written in names.unique() if written is not None and fold(written) in called]
                fits = pl.lit(names.is_in(ours)) & pl.lit(found).is_null()
                words = pl.lit(rows[value].alias("word").cast(pl.String).str.strip_chars()).replace("", None)
                found = pl.select(pl.when(fits).then(words).otherwise(pl.lit(found))).to_series()
        return pl.select(pl.when(~pl.lit(found).str.contains(_SEVERAL.pattern)).then(pl.lit(found))).to_series()


def _pair(cell: str, called: set[str]) -> str | None:
    """The value of a cell such as `color=Red,"care=wash, dry",size=M`; a part without = belongs to the value before."""
    try:
        parts = next(csv.reader([cell.replace("\r", " ").replace("\n", " ")]), [])
    except csv.Error:
        return None
    values: list[list[str]] = []
    for part in parts:
        name, equals, value = part.partition("=")
        if equals:
            values.append([fold(name), value])
        elif values:
            values[-1][1] += f",{part}"
    return next((value.strip() for name, value in values if name in called and value.strip()), None)
