"""The split of a listing, which never changes: train, validation, calibration or test."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal

import numpy as np

Split = Literal["train", "validation", "calibration", "test"]
_SHARES: dict[Split, float] = {"train": 0.7, "validation": 0.1, "calibration": 0.1, "test": 0.1}


def split_of(feed: str, product_id: str, among: Sequence[Split] = tuple(_SHARES)) -> Split:
    """The split of all listings of a product: the same for ever and on every machine. `among` are the splits to choose
    from, in their usual proportions."""
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
    """(N,) names of the splits of N listings: the `given` one, else that of `split_of`.

    Splits that a feed does not give are taken out of its training listings: most published data sets have train and
    test only, and both validation and calibration need listings that neither training nor test has.
    """
    wanted = [None] * len(feeds) if given is None else given
    named: dict[str, set[Split | None]] = {}
    for feed, split in zip(feeds, wanted, strict=True):
        named.setdefault(feed, set()).add(split)
    shared = {feed: tuple(s for s in _SHARES if s == "train" or s not in splits) for feed, splits in named.items()}

    def one(feed: str, product_id: str, split: Split | None) -> Split:
        if split is None:
            return split_of(feed, product_id)
        return split_of(feed, product_id, shared[feed]) if split == "train" else split

    return np.array([one(*listing) for listing in zip(feeds, product_ids, wanted, strict=True)], dtype=str)
