"""Listings as the arrays that the network reads."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int64, Shaped, UInt8
from numpy.typing import NDArray

from models.inputs.arrays import Bools, ListingArrays


def other_rows(count: int) -> NDArray[np.intp]:
    """For each of `count` listings the row of another, a third of all further on: the listing whose title or picture it
    is shown with, to learn what a mismatch looks like."""
    return np.roll(np.arange(count), 1 + count // 3)


def whole_pairs(present: Bool[np.ndarray, "N 2"], another: NDArray[np.intp]) -> Bools:
    """(N,) whether a listing and the one that it is shown with both have picture and title."""
    both: Bools = np.logical_and(*present.T)
    return both & both[another]


@dataclass(frozen=True)
class Examples(ListingArrays):
    """N listings ready for the network. `present`: which of picture and title a listing has. `labels`: the class of
    each of K attributes (`Attribute.codes`; −1: no label). `feeds` and `products` are names; no two feeds share a
    product. `soft_targets`: a teacher's probabilities of all attributes' classes from the picture, from the title and
    from both."""

    pictures: UInt8[np.ndarray, "N H W 3"]
    tokens: Int64[np.ndarray, "N T"]
    present: Bool[np.ndarray, "N 2"]
    labels: Int64[np.ndarray, "N K"]
    feeds: Shaped[np.ndarray, " N"]
    products: Shaped[np.ndarray, " N"]
    soft_targets: Float[np.ndarray, "N 3 S"] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def with_titles_of(self, rows: np.ndarray) -> "Examples":
        """The listings, each under the title of the listing at `rows`; all else stays."""
        return replace(self, tokens=self.tokens[rows])

    def with_pictures_of(self, rows: np.ndarray) -> "Examples":
        """The listings, each with the picture of the listing at `rows`; all else stays."""
        return replace(self, pictures=self.pictures[rows])

    def save(self, folder: Path) -> None:
        """Writes one `.npy` file an array."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in self.arrays().items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> "Examples":
        """The listings that `save` wrote, mapped into memory."""
        return cls(**{path.stem: np.load(path, mmap_mode="c") for path in folder.glob("*.npy")})
