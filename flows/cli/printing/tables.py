"""Tables and numbers for the terminal."""

from __future__ import annotations

from rich.table import Column, Table


def new_table(*headings: str) -> Table:
    """A table whose last column wraps on a narrow terminal; the others stay whole."""
    columns = [Column(heading, no_wrap=place < len(headings) - 1) for place, heading in enumerate(headings)]
    return Table(*columns)


def number_text(value: float | None) -> str:
    """`0.942`; whole numbers above 1 as `17`; a dash for None and NaN."""
    if value is None or value != value:
        return "-"
    return str(int(value)) if value > 1 and float(value).is_integer() else f"{value:.3f}"
