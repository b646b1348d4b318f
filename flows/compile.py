"""Builds and gates the engine of a registered model; and evaluates a model on held-out listings."""

from dataclasses import dataclass

from flows.project import Project, cores
from flows.train import labelled_listings
from models.card import ModelCard, read_card
from models.checkpoint import load_network
from models.engines.build import compile_engine, open_engine
from models.engines.card import EngineCard
from models.examples import Examples
from models.features import classify, encode
from models.fitting import metrics_of
from schemas.errors import UserError


def _held_out(project: Project, card: ModelCard, split: str) -> Examples:
    examples = labelled_listings(project, (split,)).examples(card.processor(), split, threads=cores())
    if not len(examples):
        raise UserError(f"no labelled listing belongs to the {split} split: ingest more labelled listings")
    return examples


def compile_champion(project: Project) -> EngineCard:
    """The champion's engine by `tag.engine`. One that fails its gate is kept for study and never used."""
    with project.run("compile-engine") as run:
        folder = project.model_folder()
        card = read_card(folder)
        built = compile_engine(
            folder,
            card,
            project.settings.tag.engine,
            calibration=_held_out(project, card, "calibration"),
            test=_held_out(project, card, "test"),
            threads=cores(),
        )
        run.summary.update(model_version=card.version, engine=built.identity.to_dict(), gate=built.gate.to_dict())
    return built


@dataclass(frozen=True)
class Evaluation:
    """Metrics per attribute of a model, with the engine that it would tag with, on the test split."""

    card: ModelCard
    engine: str
    metrics: dict[str, dict[str, float]]


def evaluate_model(project: Project, version: str | None = None) -> Evaluation:
    """On the labelled listings of the test split: products that training never saw."""
    folder = project.model_folder(version)
    card = read_card(folder)
    network = load_network(folder, card)
    engine, calibrations = open_engine(folder, card, network, project.settings.tag.engine, threads=cores())
    test = _held_out(project, card, "test")
    predictions = classify(network, encode(engine, test), test.present)
    metrics = metrics_of(predictions, test.labels, calibrations, target_precision=card.target_precision)
    return Evaluation(card, str(engine.identity), metrics)
