"""Tables for the terminal."""

from __future__ import annotations

from rich.table import Column, Table


def new_table(*headings: str) -> Table:
    """A table whose last column wraps on a narrow terminal; the others stay whole."""
    columns = [Column(heading, no_wrap=place < len(headings) - 1) for place, heading in enumerate(headings)]
    return Table(*columns)
