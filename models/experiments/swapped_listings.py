"""Test listings under noise: a share is shown under the title, or with the picture, of another product."""

from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Bool, Int, Shaped

from models.inputs.examples import Examples
from schemas.errors import UserError

Condition = Literal["clean", "swapped titles", "swapped pictures"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
SHARE = 0.3


class SwappedListings(NamedTuple):
    """Listings under a condition, and a mask of the swapped ones. Labels stay."""

    examples: Examples
    swapped: Bool[np.ndarray, " N"]


def is_swapped(
    products: Shaped[np.ndarray, " N"], feeds: Shaped[np.ndarray, " N"], condition: Condition, *, seed: int
) -> Bool[np.ndarray, " N"]:
    """Which listings a condition swaps."""
    if condition == "clean":
        return np.zeros(len(products), dtype=bool)
    return swapped_rows(products, feeds, share=SHARE, seed=seed) != np.arange(len(products))


def under_condition(
    examples: Examples, condition: Condition, *, share: float = SHARE, seed: int = 0
) -> SwappedListings:
    """The listings, all with picture and title, under a condition. Both conditions of a seed swap the same ones."""
    if condition == "clean":
        return SwappedListings(examples, np.zeros(len(examples), dtype=bool))
    rows = swapped_rows(examples.products, examples.feeds, share=share, seed=seed)
    swapped = examples.with_titles_of(rows) if condition == "swapped titles" else examples.with_pictures_of(rows)
    return SwappedListings(swapped, rows != np.arange(len(rows)))


def swapped_rows(
    products: Shaped[np.ndarray, " N"], feeds: Shaped[np.ndarray, " N"], *, share: float, seed: int
) -> Int[np.ndarray, " N"]:
    """For each listing the row whose title or picture it shows: a permutation that moves a `share` of each feed's
    listings, each to another product of the feed. `UserError` if one product has more than half of those drawn."""
    generator = np.random.default_rng(seed)
    rows = np.arange(len(products))
    for feed in np.unique(feeds):
        of_feed = np.flatnonzero(feeds == feed)
        chosen = generator.choice(of_feed, size=round(share * len(of_feed)), replace=False)
        _, product, counts = np.unique(products[chosen], return_inverse=True, return_counts=True)
        largest = int(counts.max(initial=0))
        if 2 * largest > len(chosen):
            raise UserError(
                f"feed {feed} has too few products among its {len(of_feed)} labelled test listings to swap titles or "
                "pictures between products: ingest more labelled listings, or leave the feed out with --feed"
            )
        # Products stand in a random order, each in one piece; a shift by the longest piece leaves none in its own.
        grouped = chosen[np.argsort(generator.permutation(len(counts))[product], kind="stable")]
        rows[grouped] = np.roll(grouped, largest)
    return rows
