"""Trains a model on the catalogue's labelled listings, registers it, and promotes it where it is not worse."""

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from flows.modelling.certify import promise_of
from flows.modelling.drift_reference import store_drift_reference
from flows.modelling.evaluate import evaluate_model
from flows.modelling.labelled import labelled_frame, listings_of
from flows.modelling.lineage import DataLineage, data_lineage, registration, taxonomy_hash
from flows.modelling.promotion import Verdict, judge
from flows.project.progress import bar
from flows.project.project import Project, cores
from flows.project.resumable import resumable
from flows.project.runs import Run
from models.engines.table import REFERENCE, EngineName
from models.inputs.listings import Listings
from models.lifecycle.card import ModelCard
from models.lifecycle.fit import fit
from models.lifecycle.model import Model
from models.training.presets import Preset
from models.training.train import Progress


@dataclass(frozen=True)
class EncoderOrigin:
    """The model whose encoder a new one has, and the engine that this encoder is compiled for. The features of `stored`
    inputs were in the project, those of `made` were computed."""

    source: str
    engine: EngineName
    stored: int
    made: int


@dataclass(frozen=True)
class TrainSummary:
    """The card of the new model, and whether the model became the champion. `encoder` is None where it trained its
    own."""

    card: ModelCard
    verdict: Verdict
    encoder: EncoderOrigin | None = None


def train(project: Project) -> TrainSummary:
    """Fits a model on the labelled listings, registers it, compares it with the champion, and writes its model card. A
    training that was interrupted resumes where data and preset are the same."""
    chosen = project.settings.model.chosen_preset()
    frame = labelled_frame(project)
    listings, data = listings_of(project, frame), data_lineage(frame, project.taxonomy.names)
    identity = json.dumps(asdict(chosen)), taxonomy_hash(project.taxonomy), data.hash
    with project.run("train-cma") as run, resumable(project.home / "models", *identity, what="training") as folder:
        began = time.monotonic()
        card = _fit(project, chosen, listings, folder)
        verdict = add_model(project, run, card, folder, data, seconds=time.monotonic() - began)
    return TrainSummary(card, verdict)


def add_model(
    project: Project,
    run: Run,
    card: ModelCard,
    folder: Path,
    data: DataLineage,
    *,
    seconds: float,
    source: str | None = None,
    engine: EngineName = REFERENCE,
) -> Verdict:
    """Registers the model in `folder`, compares it with the champion, and writes its model card. `source` is the model
    whose weights it started from, `engine` the one that it has already."""
    place = project.home / "models" / card.version
    os.replace(folder, place)  # a model's folder appears when it is whole
    store_drift_reference(project, Model.open(place), engine)
    run.summary.update(model_version=card.version, listings=card.listings, metrics=card.metrics)
    entry = registration(project, card, data, seconds=seconds, source=source)
    project.catalog.register_model(entry, parent=source)
    verdict = judge(project, card.version, engine=engine)
    run.summary.update(promoted=verdict.promoted, reason=verdict.reason)
    evaluate_model(project, card.version, engine=engine)  # writes the model card
    return verdict


def _fit(project: Project, chosen: Preset, listings: Listings, folder: Path) -> ModelCard:
    settings, stage = project.settings, ""
    with bar("train", None) as advance:

        def show(progress: Progress) -> None:
            nonlocal stage
            best = progress.accuracy
            note = progress.stage + ("" if best is None else f": best validation accuracy so far {best:.1%}")
            advance(0 if progress.stage != stage else 1, total=progress.steps, note=note)
            stage = progress.stage

        return fit(
            listings,
            preset=chosen,
            taxonomy=project.taxonomy,
            folder=folder,
            promise=promise_of(project),
            stored_picture_size=settings.ingest.picture_size,
            threads=cores(),
            processes=settings.model.processes,
            cache_bytes=int(settings.model.cache_gb * 1e9),
            features=project.picture_features,
            progress=show,
        )
