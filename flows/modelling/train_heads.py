"""Adapts a model to the labelled listings of another merchant: new heads on stored features."""

import time
from pathlib import Path

import numpy as np
import polars as pl

from flows.modelling.certify import promise_of
from flows.modelling.encoded import Encoder, under_other_titles
from flows.modelling.labelled import labelled_frame
from flows.modelling.lineage import data_lineage, taxonomy_hash
from flows.modelling.train import EncoderOrigin, TrainSummary, add_model
from flows.project.progress import bar
from flows.project.project import Project
from flows.project.resumable import resumable
from models.engines.table import REFERENCE
from models.inputs.examples import other_rows
from models.lifecycle.card import CARD
from models.lifecycle.fit_heads import HeadsData, fit_heads
from models.lifecycle.model import Model
from models.training.train import Progress

_GATED = 256  # calibration listings on which the engine is compared with the reference again


def train_heads(project: Project, source: str) -> TrainSummary:
    """Trains modality-wise attentions and heads for the project's labels and taxonomy on the features of a model, which
    is a registered version or the folder of a model of any project. The new model has the encoder and the engine of
    the source, so `cma tag` tags from stored features. UserError where a split has too few labels of an attribute."""
    model = Model.open(Path(source)) if (Path(source) / CARD).exists() else project.model(source)
    model.processor().require_stored_size(project.settings.ingest.picture_size)
    frame = labelled_frame(project)
    data, engine = data_lineage(frame, project.taxonomy.names), model.choose_engine(project.settings.tag.engine).name
    identity = model.card.weights, taxonomy_hash(project.taxonomy), data.hash
    place = project.home / "models" / ".heads"  # an interrupted `cma train` keeps its checkpoints
    with project.run("train-cma") as run, resumable(place, *identity, what="training of heads") as folder:
        began = time.monotonic()
        encoder = Encoder(project, model, engine)
        encoded = _encoded(project, encoder, model, engine, frame)
        with bar("train", None) as advance:

            def show(progress: Progress) -> None:
                advance(0, note=f"best validation accuracy so far {progress.accuracy or 0:.1%}")

            card = fit_heads(
                model,
                engine,
                encoded,
                taxonomy=project.taxonomy,
                folder=folder,
                promise=promise_of(project),
                progress=show,
            )
        seconds = time.monotonic() - began
        verdict = add_model(project, run, card, folder, data, seconds=seconds, source=model.version, engine=engine)
    return TrainSummary(card, verdict, EncoderOrigin(model.version, engine, encoder.stored, encoder.made))


def _encoded(project: Project, encoder: Encoder, model: Model, engine: str, frame: pl.DataFrame) -> HeadsData:
    parts = {
        split: encoder.encode(frame.filter(split=split), keep=True)
        for split in ("train", "validation", "calibration", "test")
    }
    rows, validation = parts["validation"]
    another = other_rows(len(validation))
    swapped = under_other_titles(Encoder(project, model, engine), rows, validation, another)
    gate = None
    if engine != REFERENCE:
        rows, calibration = parts["calibration"]
        _, reference = Encoder(project, model, REFERENCE).encode(rows.head(_GATED))
        gate = reference, calibration.take(np.arange(len(rows)) < _GATED)
    return HeadsData({split: listings for split, (_, listings) in parts.items()}, swapped, another, gate)
