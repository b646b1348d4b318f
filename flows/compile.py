"""Builds and gates the engine of a registered model."""

from flows.certify import promise_of
from flows.evaluate import evaluate_model
from flows.labelled import held_out
from flows.project import Project, cores
from models.card import read_card
from models.engines.build import compile_engine
from models.engines.card import EngineCard
from models.engines.tensorrt.options import Options


def compile_champion(project: Project) -> EngineCard:
    """The champion's engine by `tag.engine`. One that fails its gate is kept for study and never used."""
    with project.run("compile-engine") as run:
        folder = project.model_folder()
        card = read_card(folder)
        built = compile_engine(
            folder,
            card,
            project.settings.tag.engine,
            validation=held_out(project, card, "validation"),
            calibration=held_out(project, card, "calibration"),
            test=held_out(project, card, "test"),
            promise=promise_of(project),
            threads=cores(),
            tensorrt=Options(**project.settings.tag.tensorrt.model_dump()),
        )
        run.summary.update(model_version=card.version, engine=built.identity.to_dict(), gate=built.gate.to_dict())
        evaluate_model(project)  # writes the card of the engine that tags now
    return built
