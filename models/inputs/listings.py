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

    def rows(self, split: str) -> NDArray[np.intp]:
        """The listings of one split that have at least one label, and a picture or a title."""
        shown = np.array(
            [p is not None or bool(t) for p, t in zip(self.pictures, self.titles, strict=True)], dtype=bool
        )
        return np.flatnonzero((self.splits == split) & (self.labels >= 0).any(axis=1) & shown)

    def take(self, rows: NDArray[np.integer]) -> "Listings":
        """The listings at these positions."""
        return Listings(
            titles=[self.titles[row] for row in rows],
            pictures=[self.pictures[row] for row in rows],
            labels=self.labels[rows],
            splits=self.splits[rows],
            feeds=self.feeds[rows],
            products=self.products[rows],
        )

    @property
    def present(self) -> NDArray[np.bool_]:
        """(N, 2) which of picture and title each listing has."""
        return np.array([[p is not None for p in self.pictures], [bool(t) for t in self.titles]], dtype=bool).T

    def examples(
        self, processor: Processor, split: str, *, threads: int, progress: Callable[[int], None] | None = None
    ) -> Examples:
        """The decoded listings of `rows(split)`."""
        return self.take(self.rows(split)).decoded(processor, threads=threads, progress=progress)

    def decoded(
        self,
        processor: Processor,
        *,
        threads: int,
        progress: Callable[[int], None] | None = None,
        out: NDArray[np.uint8] | None = None,
    ) -> Examples:
        """All listings, decoded; the pictures into `out`, (N, height, width, 3) zeros, where it is given."""
        return Examples(
            pictures=processor.pictures(self.pictures, threads=threads, progress=progress, out=out),
            tokens=processor.tokens(self.titles),
            present=self.present,
            labels=self.labels,
            feeds=self.feeds,
            products=self.products,
        )
