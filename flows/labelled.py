"""The catalogue's labelled listings, as models learn from them and are measured on them."""

import numpy as np
import polars as pl

from flows.project import Project, cores
from models.card import ModelCard
from models.examples import Examples, splits_of
from models.fitting import Listings
from schemas.errors import UserError


def labelled_listings(project: Project, splits: tuple[str, ...] = ()) -> Listings:
    """The catalogue's listings with at least one label, of these splits (all, where none is named)."""
    frame = project.catalog.listings()
    names = project.taxonomy.names
    frame = frame.filter(pl.any_horizontal(pl.col(f"label_{name}").is_not_null() for name in names))
    if frame.is_empty():
        raise UserError(
            "no listing has a label: map label columns under [feeds.….labels] to attributes of the taxonomy "
            f"({', '.join(names)}), and run `cma ingest`"
        )
    split = splits_of(frame["feed"].to_list(), frame["product_id"].to_list())
    if splits:
        chosen = np.isin(split, splits)
        frame, split = frame.filter(chosen), split[chosen]
    pictured = frame.filter(pl.col("image_hash").is_not_null())
    jpegs = project.shards.read(dict(pictured.select("image_hash", "shard").iter_rows()))
    labels = [attribute.codes(frame[f"label_{attribute.name}"]).to_numpy() for attribute in project.taxonomy.attributes]
    return Listings(
        titles=frame["title"].to_list(),
        pictures=[jpegs.get(key) for key in frame["image_hash"]],
        labels=np.stack(labels, axis=1),
        splits=split,
        feeds=frame["feed"].to_numpy(),
    )


def held_out(project: Project, card: ModelCard, split: str) -> Examples:
    """The catalogue's labelled listings of one split, decoded for this model."""
    examples = labelled_listings(project, (split,)).examples(card.processor(), split, threads=cores())
    if not len(examples):
        raise UserError(f"no labelled listing belongs to the {split} split: ingest more labelled listings")
    return examples
