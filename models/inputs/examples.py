"""Listings as arrays, and the split that each belongs to for good."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int64, Shaped, UInt8

Split = Literal["train", "validation", "calibration", "test"]
_SHARES: dict[Split, float] = {"train": 0.7, "validation": 0.1, "calibration": 0.1, "test": 0.1}


@dataclass(frozen=True)
class Examples:
    """N listings ready for the network; `present` says which of picture and title a listing has, label −1 is none;
    `feeds` names the merchant's feed of each, `products` its product (no two feeds share a name). `soft_targets` are
    what a teacher says of them by the picture, by the title and by both: probabilities of all attributes' values."""

    pictures: UInt8[np.ndarray, "N H W 3"]
    tokens: Int64[np.ndarray, "N T"]
    present: Bool[np.ndarray, "N 2"]
    labels: Int64[np.ndarray, "N K"]
    feeds: Shaped[np.ndarray, " N"]
    products: Shaped[np.ndarray, " N"]
    soft_targets: Float[np.ndarray, "N 3 S"] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> "Examples":
        """The listings at these positions, or where this mask is true."""
        return replace(self, **{name: array[rows] for name, array in self._arrays().items()})

    def save(self, folder: Path) -> None:
        """One `.npy` file an array."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in self._arrays().items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> "Examples":
        """What `save` wrote, mapped into memory."""
        return cls(**{path.stem: np.load(path, mmap_mode="c") for path in folder.glob("*.npy")})

    def _arrays(self) -> dict[str, np.ndarray]:
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: array for name, array in arrays.items() if array is not None}


def split_of(feed: str, product_id: str, among: Sequence[Split] = tuple(_SHARES)) -> Split:
    """Where a product belongs: all listings of a product share a split, for ever and on every machine.

    `among` fewer splits than all, it belongs to one of these, in the same proportions.
    """
    digest = blake2b(f"{feed}\0{product_id}".encode(), digest_size=8).digest()
    place = int.from_bytes(digest, "big") / 2**64 * round(sum(_SHARES[split] for split in among), 9)
    for split in among:
        place -= _SHARES[split]
        if place < 0:
            return split
    return among[-1]


def splits_of(
    feeds: Sequence[str], product_ids: Sequence[str], given: Sequence[Split | None] | None = None
) -> np.ndarray:
    """The splits of many listings, as an array of names: the `given` one, else that of `split_of`.

    Splits that a feed does not give itself are taken out of its training listings: most published data sets have
    train and test only, and both validation and calibration need listings that neither training nor test has.
    """
    said = [None] * len(feeds) if given is None else given
    named: dict[str, set[Split | None]] = {}
    for feed, split in zip(feeds, said, strict=True):
        named.setdefault(feed, set()).add(split)
    shared = {feed: tuple(s for s in _SHARES if s == "train" or s not in splits) for feed, splits in named.items()}

    def one(feed: str, product_id: str, split: Split | None) -> Split:
        if split is None:
            return split_of(feed, product_id)
        return split_of(feed, product_id, shared[feed]) if split == "train" else split

    return np.array([one(*listing) for listing in zip(feeds, product_ids, said, strict=True)], dtype=str)
