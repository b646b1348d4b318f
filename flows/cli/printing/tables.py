"""Tables and numbers as the terminal shows them."""

from __future__ import annotations

from rich.table import Column, Table


def new_table(*headings: str) -> Table:
    """Numbers and names stay whole; only the last column gives way to a narrow terminal."""
    columns = [Column(heading, no_wrap=place < len(headings) - 1) for place, heading in enumerate(headings)]
    return Table(*columns)


def number_text(value: float | None) -> str:
    if value is None:
        return "-"
    return str(int(value)) if float(value).is_integer() and value > 1 else "-" if value != value else f"{value:.3f}"
