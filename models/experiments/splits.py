"""The listings of an ablation: which are trained, chosen and measured on; decoded once, into files that all processes
map into memory."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int, Int64, Shaped

from models.inputs.arrays import ListingArrays
from models.inputs.examples import Examples
from models.inputs.listings import Listings
from models.inputs.preprocessing import Processor
from schemas.attribute import Attribute, fold
from schemas.errors import UserError
from schemas.taxonomy import Taxonomy

FEWEST = 50  # listings with picture and title that a split needs
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Compared(ListingArrays):
    """What is known of the N test listings. `inside`: whether the label is a value; `named`: whether the title has a
    word for that value."""

    present: Bool[np.ndarray, "N 2"]
    labels: Int64[np.ndarray, "N K"]
    feeds: Shaped[np.ndarray, " N"]
    products: Shaped[np.ndarray, " N"]
    inside: Bool[np.ndarray, "N K"]
    named: Bool[np.ndarray, "N K"]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Splits:
    """The listings of an ablation, not decoded. `test` has only those with both picture and title, so that all variants
    predict the same ones; `left_out` counts the others, and `unmeasured` names the feeds without any."""

    train: Listings
    validation: Listings
    test: Listings
    left_out: int
    unmeasured: tuple[str, ...] = ()

    @classmethod
    def of(cls, listings: Listings, *, most_per_feed: int | None = None) -> "Splits":
        """`most_per_feed` training listings of each feed at most, and validation listings in proportion. `UserError` if
        a split has too few listings with both."""
        train, validation, test = (listings.take(listings.rows(split)) for split in PARTS)
        if most_per_feed is not None:
            train, validation = _capped(train, validation, most_per_feed)
        for split, part in (("train", train), ("validation", validation), ("test", test)):
            if (both := int(part.present.all(axis=1).sum())) < FEWEST:
                raise UserError(
                    f"too few labelled listings to compare variants on: {both} of the {split} split have both picture "
                    f"and title, {FEWEST} are needed. Ingest more labelled listings."
                )
        comparable = test.take(np.flatnonzero(np.logical_and(*test.present.T)))
        unmeasured = tuple(np.setdiff1d(test.feeds, comparable.feeds).tolist())
        return cls(train, validation, comparable, len(test.titles) - len(comparable.titles), unmeasured)

    def compared(self, taxonomy: Taxonomy) -> Compared:
        test = self.test
        columns = zip(taxonomy.attributes, test.labels.T, strict=True)
        named = [names_label(test.titles, labels, attribute) for attribute, labels in columns]
        inside = (test.labels >= 0) & (test.labels < [attribute.none_code for attribute in taxonomy.attributes])
        return Compared(test.present, test.labels, test.feeds, test.products, inside, np.stack(named, axis=1))

    @cached_property
    def hash(self) -> str:
        """SHA-256 of everything that a variant is trained or measured on."""
        digest = sha256()
        for part in (self.train, self.validation, self.test):
            digest.update(f"{part.labels.shape}{part.labels.tolist()}".encode())
            digest.update(repr([part.titles, part.feeds.tolist(), part.products.tolist()]).encode())
            for picture in part.pictures:
                digest.update(b"-" if picture is None else sha256(picture).digest())
        return digest.hexdigest()

    def decode(self, processor: Processor, folder: Path, *, threads: int) -> None:
        """Decodes all listings into `folder`, from which `decoded` reads them. UserError where the disk is full."""
        for name in PARTS:
            part: Listings = getattr(self, name)
            place = folder / name
            place.mkdir(parents=True, exist_ok=True)
            shape = (len(part.titles), *processor.image_size, 3)
            pictures = np.lib.format.open_memmap(place / "pictures.npy", mode="w+", dtype=np.uint8, shape=shape)
            try:
                with (place / "pictures.npy").open("ab") as file:  # a full disk is an error here, else a crash
                    os.posix_fallocate(file.fileno(), 0, file.tell())
            except OSError as error:
                raise UserError(
                    f"{folder}: there is no space for {pictures.nbytes / 1e9:.1f} GB of pictures ({error.strerror}): "
                    "free some, or name another place with --folder"
                ) from error
            examples = part.decoded(processor, threads=threads, out=pictures)
            pictures.flush()
            for array, values in examples.arrays().items():
                if array != "pictures":
                    np.save(place / f"{array}.npy", values, allow_pickle=False)


def _capped(train: Listings, validation: Listings, most: int) -> tuple[Listings, Listings]:
    """At most so many training listings of each feed, and as large a share of its validation listings."""
    kept: list[list[np.ndarray]] = [[], []]
    for feed in np.unique(train.feeds):
        of_feed = [np.flatnonzero(part.feeds == feed) for part in (train, validation)]
        fewer = sizes(most, *map(len, of_feed))
        for part, rows, count, into in zip((train, validation), of_feed, fewer, kept, strict=True):
            into.append(rows[some_products(part.products[rows], count, seed=0)])
    chosen = [np.sort(np.concatenate(rows)) for rows in kept]
    return train.take(chosen[0]), validation.take(chosen[1])


def sizes(labels: int, train: int, validation: int) -> tuple[int, int]:
    """How many training and validation listings a merchant with `labels` training listings has: validation in the
    proportion that these have, at least 50, and no more than there are."""
    return min(labels, train), min(validation, max(FEWEST, round(validation * labels / max(train, 1))))


def some_products(products: Shaped[np.ndarray, " N"], count: int, *, seed: int) -> Int[np.ndarray, " M"]:
    """The rows of `count` listings, in ascending order: those of the first products in a random order, so that a
    smaller draw is part of each larger one."""
    names, index = np.unique(products, return_inverse=True)
    rank = np.random.default_rng(seed).permutation(len(names))
    return np.sort(np.argsort(rank[index], kind="stable")[:count])


def decoded(folder: Path) -> tuple[Examples, Examples, Examples]:
    """The training, validation and test listings that `Splits.decode` wrote, mapped into memory."""
    train, validation, test = (Examples.load(folder / name) for name in PARTS)
    return train, validation, test


def names_label(titles: Sequence[str], labels: Int64[np.ndarray, " N"], attribute: Attribute) -> Bool[np.ndarray, " N"]:
    """Whether each title has a word, or the words, for the value of its label. False without a label of a value."""
    patterns = [
        re.compile("|".join(rf"(?<!\w){re.escape(fold(word))}(?!\w)" for word in (value, *words)))
        for value, words in attribute.values.items()
    ]
    return np.array(
        [
            0 <= label < len(patterns) and patterns[label].search(fold(title)) is not None
            for title, label in zip(titles, labels.tolist(), strict=True)
        ],
        dtype=bool,
    )
