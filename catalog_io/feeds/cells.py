"""What a feed's cells may hold."""

from collections.abc import Iterable
from typing import Any

import polars as pl


def is_text(dtype: pl.DataType) -> bool:
    """Whether a column holds text or whole numbers, which are the same text everywhere."""
    return dtype.is_integer() or dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null)


def is_unicode(cells: Iterable[str]) -> bool:
    """Whether cells have no half of a surrogate pair, which stands for what could not be decoded."""
    try:
        return all(cell.isascii() or cell.encode() for cell in cells)
    except UnicodeEncodeError:
        return False


def fields(dtype: Any) -> dict[str, Any]:
    """A struct's fields and their types; none, where it is no struct."""
    return {field.name: field.dtype for field in dtype.fields} if isinstance(dtype, pl.Struct) else {}
