"""Builds and gates the engine of a registered model."""

from dataclasses import asdict

from flows.modelling.certify import promise_of
from flows.modelling.drift_reference import store_drift_reference
from flows.modelling.evaluate import evaluate_model
from flows.modelling.labelled import held_out
from flows.project.project import Project, cores
from models.engines.table import candidates
from models.lifecycle.compile import compile_engine
from models.lifecycle.engine_card import EngineCard


def compile_champion(project: Project) -> list[EngineCard]:
    """Compiles the engines that `tag.engine` allows on this machine, in order, until one passes its gate. Returns the
    cards of all that were tried, the one that passed last. An engine that fails stays on disk and is never used."""
    with project.run("compile-engine") as run:
        model = project.model()
        splits = {name: held_out(project, model, name) for name in ("validation", "calibration", "test")}
        tried: list[EngineCard] = []
        for backend in candidates(project.settings.tag.engine):
            tried.append(
                compile_engine(
                    model,
                    backend,
                    **splits,
                    promise=promise_of(project),
                    threads=cores(),
                    tensorrt=project.settings.tag.tensorrt,
                )
            )
            if tried[-1].gate.passed:
                break
        built = tried[-1]
        run.summary.update(
            model_version=model.version,
            engine=asdict(built.identity),
            gate={**asdict(built.gate), "passed": built.gate.passed},
        )
        if built.gate.passed:
            store_drift_reference(project, model, built.backend)
            evaluate_model(project)  # writes the model card of the engine that tags now
    return tried
