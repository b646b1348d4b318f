"""Text of a row that is not simply one cell: the first of several columns that is not empty, or a template."""

import re
from typing import NamedTuple

import polars as pl

# {column} is the cell; {column:.3} its first three characters.
_FIELD = re.compile(r"\{([^{}]+?)(?::\.(\d{1,3}))?\}")


class TextSource(NamedTuple):
    """Columns or templates such as `images/{id:.3}/{id}.jpg`; the first that is not empty gives a row's text."""

    options: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The columns that are needed."""
        return [name for option in self.options for name in template_columns(option) or [option]]

    def cells(self, rows: pl.DataFrame) -> pl.Series:
        """The text of each row, null where all options are empty."""
        if len(self.options) == 1 and not template_columns(self.options[0]):
            return rows[self.options[0]].cast(pl.String)
        texts = [
            filled_template(option, rows) if template_columns(option) else _text(rows[option])
            for option in self.options
        ]
        return pl.select(pl.coalesce([pl.lit(text) for text in texts])).to_series()


def template_columns(text: str) -> list[str]:
    """The columns that a template names; empty for text that is no template but a column's name."""
    return [match[1] for match in _FIELD.finditer(text)]


def filled_template(template: str, rows: pl.DataFrame) -> pl.Series:
    """The template with the cells of each row in it; null where one of them is empty."""
    literal, name, length = _FIELD.split(template)[::3], *(_FIELD.split(template)[n::3] for n in (1, 2))
    parts = [pl.lit(literal[0])]
    for column, most, after in zip(name, length, literal[1:], strict=True):
        cell = pl.lit(_text(rows[column]))
        parts += [cell.str.slice(0, int(most)) if most else cell, pl.lit(after)]
    return pl.select(pl.concat_str(parts)).to_series()


def _text(cells: pl.Series) -> pl.Series:
    """The cells as text without space around it; an empty one becomes null."""
    text = cells.alias("text").cast(pl.String).str.strip_chars()  # polars takes a name such as ^a$ for a pattern
    return pl.select(pl.lit(text).replace("", None)).to_series()
