"""The parts of a section. Texts are plain; the templates escape them."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """The first cell of each row is its heading."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class Plot:
    """An SVG; `name` is the stem of its file."""

    name: str
    svg: str
    caption: str


@dataclass(frozen=True)
class Section:
    heading: str
    text: Sequence[str] = ()
    points: Sequence[str] = ()
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()
