"""The catalogue's labelled listings, by split: what models are trained and evaluated on."""

from collections.abc import Collection

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flows.project.project import Project, cores
from models.inputs.examples import Examples
from models.inputs.listings import Listings
from models.inputs.splits import Split, split_of, splits_of
from models.lifecycle.model import Model
from schemas.errors import UserError

_HALVES: tuple[Split, ...] = ("validation", "calibration")


def labelled_listings(
    project: Project, splits: tuple[str, ...] = (), *, model: Model | None = None, feeds: Collection[str] = ()
) -> Listings:
    """The listings of `labelled_frame`, with their pictures, as arrays."""
    return listings_of(project, labelled_frame(project, splits, model=model, feeds=feeds))


def labelled_frame(
    project: Project, splits: tuple[str, ...] = (), *, model: Model | None = None, feeds: Collection[str] = ()
) -> pl.DataFrame:
    """The rows of `listings_with_splits` that have a label; of the named splits and feeds only, where some are named.
    UserError where no listing has a label."""
    frame = listings_with_splits(project, model)
    names = project.taxonomy.names
    frame = frame.filter(pl.any_horizontal(pl.col(f"label_{name}").is_not_null() for name in names))
    if frame.is_empty():
        raise UserError(
            "no listing has a label: map label columns under [feeds.….labels] to attributes of the taxonomy "
            f"({', '.join(names)}), and run `cma ingest`"
        )
    if splits:
        frame = frame.filter(pl.col("split").is_in(splits))
    return frame.filter(pl.col("feed").is_in(list(feeds))) if feeds else frame


def listings_with_splits(project: Project, model: Model | None = None) -> pl.DataFrame:
    """The rows of `Catalog.listings`, with a column `split` that is never null.

    With `model`, a feed that the model never learned from has no training split: of its listings outside the test
    split, about half are validation and the others calibration.
    """
    frame = project.catalog.listings()
    split = splits_of(frame["feed"].to_list(), frame["product_id"].to_list(), frame["split"].to_list())
    if model:
        split = np.where(
            np.isin(frame["feed"].to_numpy(), model.card.feeds) | (split == "test"),
            split,
            [split_of(feed, product, _HALVES) for feed, product in frame["feed", "product_id"].iter_rows()],
        )
    return frame.with_columns(split=pl.Series(split, dtype=pl.String))


def listings_of(project: Project, frame: pl.DataFrame) -> Listings:
    """The listings of a `labelled_frame`, with their pictures, as arrays."""
    pictured = frame.filter(pl.col("image_hash").is_not_null())
    jpegs = project.shards.read(dict(pictured.select("image_hash", "shard").iter_rows()))
    return Listings(
        titles=frame["title"].to_list(),
        pictures=[jpegs.get(key) for key in frame["image_hash"]],
        labels=codes_of(project, frame),
        splits=frame["split"].to_numpy().astype(str),
        feeds=frame["feed"].to_numpy().astype(str),
        products=products_of(frame),
    )


def codes_of(project: Project, frame: pl.DataFrame) -> NDArray[np.int64]:
    """(N, K) codes of the labels of a `labelled_frame`; see `Listings`."""
    labels = [attribute.codes(frame[f"label_{attribute.name}"]).to_numpy() for attribute in project.taxonomy.attributes]
    return np.stack(labels, axis=1)


def products_of(frame: pl.DataFrame) -> NDArray[np.str_]:
    """(N,) names of the products of a `labelled_frame`; no two feeds share one."""
    return (frame["feed"] + "/" + frame["product_id"]).to_numpy().astype(str)


def held_out(project: Project, model: Model, split: str, feeds: Collection[str] = ()) -> Examples:
    """The labelled listings of one split (and of the named feeds), as arrays for this model. UserError where there are
    none."""
    listings = labelled_listings(project, (split,), model=model, feeds=feeds)
    examples = listings.examples(model.processor(), split, threads=cores())
    if not len(examples):
        source = f" of {', '.join(feeds)}" if feeds else ""
        raise UserError(f"no labelled listing{source} belongs to the {split} split: ingest more labelled listings")
    return examples
