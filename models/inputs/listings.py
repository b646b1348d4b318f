"""Labelled listings before they are decoded: titles, stored pictures, label codes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.inputs.examples import Examples
from models.inputs.preprocessing import Processor


@dataclass(frozen=True)
class Listings:
    """N listings: titles, JPEGs, (N, K) labels (as in `Examples`), and (N,) splits, feeds and products."""

    titles: Sequence[str]
    pictures: Sequence[bytes | None]
    labels: NDArray[np.int64]
    splits: NDArray[np.str_]
    feeds: NDArray[np.str_]
    products: NDArray[np.str_]  # no two feeds share a product's name

    def examples(
        self, processor: Processor, split: str, *, threads: int, progress: Callable[[int], None] | None = None
    ) -> Examples:
        """The decoded listings of one split that have at least one label, and a picture or a title."""
        shown = np.array(
            [p is not None or bool(t) for p, t in zip(self.pictures, self.titles, strict=True)], dtype=bool
        )
        rows = np.flatnonzero((self.splits == split) & (self.labels >= 0).any(axis=1) & shown).tolist()
        titles = [self.titles[row] for row in rows]
        pictures = [self.pictures[row] for row in rows]
        return Examples(
            pictures=processor.pictures(pictures, threads=threads, progress=progress),
            tokens=processor.tokens(titles),
            present=np.array([[p is not None for p in pictures], [bool(t) for t in titles]], dtype=bool).T,
            labels=self.labels[rows],
            feeds=self.feeds[rows],
            products=self.products[rows],
        )
