"""What sections are made of. All texts are plain: whoever renders them escapes them."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """The first cell of each row names it."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class Plot:
    """`name` is its file's, `says` what it shows."""

    name: str
    svg: str
    says: str


@dataclass(frozen=True)
class Section:
    heading: str
    text: Sequence[str] = ()
    points: Sequence[str] = ()
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()
