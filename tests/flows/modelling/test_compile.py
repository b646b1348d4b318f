"""Engines that may not tag: refused, stale, foreign, damaged. Each is named, and nothing stops under `auto`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from flows import deployments
from flows.cli.commands import app
from flows.project.project import Project
from flows.tagging.tag import tag
from models.engines.interface import Features, InferenceEngine
from models.engines.openvino_engine import OpenVinoEngine


class Faulty:
    """An engine that computes wrongly."""

    def __init__(self, engine: InferenceEngine) -> None:
        self._engine = engine
        self.identity, self.batch, self.streams = engine.identity, engine.batch, engine.streams

    def __call__(self, *arrays: Any) -> Features:
        features = self._engine(*arrays)
        noise = np.random.default_rng(0).normal(size=features.image_out.shape)
        return features._replace(image_out=(features.image_out + 9 * noise).astype(np.float32))


def cma(*command: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(part) for part in command])
    return done.exit_code, " ".join([*done.output.split(), str(done.exception or "")])


def without_prefect(monkeypatch: pytest.MonkeyPatch) -> None:
    """`cma compile` calls the flow as a plain function, in an environment that keeps its Prefect settings."""
    monkeypatch.setattr("flows.cli.console.prepare_prefect", lambda: None)
    monkeypatch.setattr(deployments, "compile_engine", deployments.compile_engine.fn)


def chosen(config: Path) -> tuple[str, str | None]:
    project = Project.open(config)
    return project.model().choose_engine(project.settings.tag.engine)


def test_an_engine_that_fails_its_gate_gives_way(project_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = OpenVinoEngine.build
    monkeypatch.setattr(OpenVinoEngine, "build", lambda *given, **options: Faulty(real(*given, **options)))
    without_prefect(monkeypatch)
    code, said = cma("compile", "--config", project_copy)
    assert code == 0
    refused, passed = said.index("gate refused"), said.index("gate passed: argmax agreement 100.00%")
    assert said.index("engine openvino") < refused < said.index("engine torch") < passed
    backend, why = chosen(project_copy)
    assert backend == "torch" and why is not None and why.startswith("the openvino engine failed its gate (argmax")
    monkeypatch.setenv("CMA_TAG__ENGINE", "openvino")
    code, said = cma("compile", "--config", project_copy)
    assert code == 1 and "the openvino engine failed its gate and will not be used" in said


def test_a_stale_engine_is_named_and_built_again(
    project_copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_prefect(monkeypatch)
    project = Project.open(project_copy)
    built = project.model().engine_card("openvino")
    assert built is not None
    replace(built, identity=replace(built.identity, version="2020.1")).write(project.model_folder())
    summary = tag(project)
    warning = " ".join(capsys.readouterr().err.split())
    assert "tagging with the torch engine: the openvino engine was compiled and certified as openvino 2020.1" in warning
    assert "run `cma compile`" in warning
    assert (summary.engine, summary.tagged) == ("torch", summary.selected)
    assert cma("compile", "--config", project_copy)[0] == 0
    assert chosen(project_copy) == ("openvino", None)
    again = tag(Project.open(project_copy))
    assert (again.engine, again.tagged, again.from_features) == ("openvino", again.selected, 0)
