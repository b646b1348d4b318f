"""Measures a registered model on labelled listings that it never saw."""

from dataclasses import dataclass

from flows.labelled import held_out
from flows.project import Project, cores
from models.card import ModelCard, read_card
from models.checkpoint import load_network
from models.engines.build import open_engine
from models.features import classify, encode
from models.fitting import metrics_of


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
    test = held_out(project, card, "test")
    predictions = classify(network, encode(engine, test), test.present)
    metrics = metrics_of(predictions, test.labels, calibrations, target_precision=card.target_precision)
    return Evaluation(card, str(engine.identity), metrics)
