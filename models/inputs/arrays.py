"""Types of arrays: names for NumPy arrays whose shapes stand in docstrings, and a base for dataclasses of arrays."""

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]
Bools = NDArray[np.bool_]
Names = NDArray[Any]  # text: (N,) names of feeds or products


@dataclass(frozen=True)
class ListingArrays:
    """The base of dataclasses whose fields are arrays with one row for each of N listings, or None."""

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by the names of their fields, without those that are None."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: array for name, array in found.items() if array is not None}

    def take(self, rows: np.ndarray) -> Self:
        """The listings at these positions, or where this mask is true. No array is copied where all are."""
        if rows.dtype == bool and rows.all():
            return self
        return replace(self, **{name: array[rows] for name, array in self.arrays().items()})
