"""A table of results as texts, and pages of such tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the types of results are not loaded to print them
    from models.experiments.scores import Spread


@dataclass(frozen=True)
class ResultTable:
    """A table of texts; `note` explains its numbers."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str


def page(title: str, found: Iterable[ResultTable], *, about: str = "") -> str:
    """Tables as a page of Markdown."""
    parts = [f"# {title}", *([about] if about else [])]
    for table in found:
        lines = [_line(table.headings), _line(["---"] * len(table.headings)), *map(_line, table.rows)]
        parts.append(f"## {table.title}\n\n" + "\n".join(lines) + f"\n\n{table.note}")
    return "\n\n".join(parts) + "\n"


def cell(spread: Spread, scale: int = 100, digits: int = 1) -> str:
    """The mean, ± the standard deviation where there are several seeds."""
    mean = f"{scale * spread.mean:.{digits}f}"
    return mean if spread.std is None else f"{mean} ± {scale * spread.std:.{digits}f}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
