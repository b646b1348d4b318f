"""Names for the types of NumPy arrays whose shapes stand in docstrings."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]
Bools = NDArray[np.bool_]
Names = NDArray[Any]  # text: (N,) names of feeds or products
