"""Trains a model on the catalogue's labelled listings and registers it."""

import os
import shutil

from flows.labelled import labelled_listings
from flows.progress import bar
from flows.project import Project, cores
from models.card import ModelCard
from models.fitting import fit
from models.presets import preset
from models.training import Progress


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
