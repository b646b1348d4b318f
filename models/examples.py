"""Listings as arrays, and the split that each belongs to for good."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int64, Shaped, UInt8

Split = Literal["train", "validation", "calibration", "test"]
_SHARES: dict[Split, float] = {"train": 0.7, "validation": 0.1, "calibration": 0.1, "test": 0.1}


@dataclass(frozen=True)
class Examples:
    """N listings ready for the network; `present` says which of picture and title a listing has, label −1 is none;
    `feeds` names the merchant's feed of each."""

    pictures: UInt8[np.ndarray, "N H W 3"]
    tokens: Int64[np.ndarray, "N T"]
    present: Bool[np.ndarray, "N 2"]
    labels: Int64[np.ndarray, "N K"]
    feeds: Shaped[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> "Examples":
        """The listings at these positions, or where this mask is true."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))


def split_of(feed: str, product_id: str) -> Split:
    """Where a product belongs: all listings of a product share a split, for ever and on every machine."""
    digest = blake2b(f"{feed}\0{product_id}".encode(), digest_size=8).digest()
    place = int.from_bytes(digest, "big") / 2**64
    for split, share in _SHARES.items():
        place -= share
        if place < 0:
            return split
    return "test"


def splits_of(feeds: Sequence[str], product_ids: Sequence[str]) -> np.ndarray:
    """`split_of` for many listings: an array of split names."""
    return np.array([split_of(feed, product) for feed, product in zip(feeds, product_ids, strict=True)], dtype=str)
