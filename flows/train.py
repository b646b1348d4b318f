"""Trains a model on the catalogue's labelled listings, registers it, and promotes it where it is not worse."""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from flows.labelled import labelled_listings
from flows.lineage import labelled_data, registration
from flows.progress import bar
from flows.project import Project, cores
from flows.promotion import Verdict, judge
from models.card import ModelCard
from models.fitting import Listings, fit
from models.presets import Preset, preset
from models.training import Progress


@dataclass(frozen=True)
class TrainSummary:
    """The finished model, and whether it tags now."""

    card: ModelCard
    verdict: Verdict


def train(project: Project) -> TrainSummary:
    """The three stages, calibration, evaluation, registration; then the comparison with the champion."""
    model = project.settings.model
    chosen = preset(model.preset, backbone=model.backbone, pretrained=model.pretrained, epochs=model.epochs)
    listings, data = labelled_listings(project), labelled_data(project)
    with project.run("train-cma") as run:
        began = time.monotonic()
        card = _fit(project, chosen, listings, project.home / "models" / f".{run.run_id}")
        run.summary.update(model_version=card.version, listings=card.listings, metrics=card.metrics)
        project.catalog.register_model(registration(project, card, data, seconds=time.monotonic() - began))
        verdict = judge(project, card.version)
        run.summary.update(promoted=verdict.promoted, reason=verdict.reason)
    return TrainSummary(card, verdict)


def _fit(project: Project, chosen: Preset, listings: Listings, unfinished: Path) -> ModelCard:
    """The model's folder appears when it is whole."""
    unfinished.mkdir(parents=True)
    stage = ""
    with bar("train", None) as advance:

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
                target_precision=project.settings.tag.target_precision,
                confidence=project.settings.tag.confidence,
                certify=project.settings.tag.certify,
                stored_picture_size=project.settings.ingest.picture_size,
                threads=cores(),
                progress=show,
            )
            os.replace(unfinished, unfinished.with_name(card.version))
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return card
