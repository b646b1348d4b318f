"""Trains a model on the catalogue's labelled listings and registers it."""

import os
import shutil

import numpy as np
import polars as pl

from flows.progress import bar
from flows.project import Project, cores
from models.card import ModelCard
from models.examples import splits_of
from models.fitting import Listings, fit
from models.presets import preset
from models.training import Progress
from schemas.errors import UserError


def train(project: Project) -> ModelCard:
    """The three stages, calibration, evaluation; the finished model becomes the champion."""
    model, tag = project.settings.model, project.settings.tag
    chosen = preset(model.preset, backbone=model.backbone, pretrained=model.pretrained, epochs=model.epochs)
    listings = labelled_listings(project)
    models = project.home / "models"
    with project.run("train-cma") as run, bar("train", None) as advance:
        unfinished = models / f".{run.run_id}"
        unfinished.mkdir(parents=True)
        stage = ""

        def show(progress: Progress) -> None:
            nonlocal stage
            note = f"{progress.stage}: best validation accuracy so far {progress.accuracy:.1%}"
            advance(0 if progress.stage != stage else 1, total=progress.steps, note=note)
            stage = progress.stage

        try:
            card = fit(
                listings,
                preset=chosen,
                taxonomy=project.taxonomy,
                folder=unfinished,
                target_precision=tag.target_precision,
                confidence=tag.confidence,
                stored_picture_size=project.settings.ingest.picture_size,
                threads=cores(),
                progress=show,
            )
            folder = models / card.version
            os.replace(unfinished, folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        project.catalog.register_model(
            card.version,
            preset=chosen.name,
            path=f"models/{card.version}",
            metrics=card.metrics,
            champion=True,
        )
        run.summary.update(model_version=card.version, listings=card.listings, metrics=card.metrics)
    return card


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
    )
