"""The bench on a real model. No test asserts a speed."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from rich.console import Console

from flows.cli.printing.experiments import print_bench
from flows.experiments.bench import bench
from flows.project.project import Project
from schemas.errors import UserError


@pytest.fixture(scope="module")
def project(trained: Path) -> Project:
    return Project.open(trained)


def test_contenders_answer_alike_and_are_measured_against_each_other(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    done = bench(project, listings=96, rounds=1)
    rows = {row.kind: row for row in done.rows}
    assert (
        tuple(rows) == ("naive", "torch", "openvino", "worker")
        and done.listings == 96
        and done.model == project.model_folder().name
    )
    assert rows["torch"].gate is not None and rows["torch"].gate.agreement == 1.0
    assert rows["openvino"].gate is not None and rows["openvino"].gate.passed
    assert rows["naive"].of_naive == 1.0 and rows["naive"].gate is None
    assert [kind for kind, row in rows.items() if row.of_engine is not None] == ["worker"]
    for row in done.rows:
        assert row.rate > 0 and row.peak_memory > 2**27 and row.load_seconds > 0
        expected = row.rate * done.work / done.matrix_rates["cpu"][0]
        assert row.of_roofline == pytest.approx(expected)
    assert json.loads(json.dumps(asdict(done)))["rows"][2]["kind"] == "openvino"
    print_bench(Console(width=200), done)
    said = capsys.readouterr().out
    assert all(name in said for name in ("naive PyTorch", "openvino", "a worker of cma tag", "GFLOP each"))


def test_a_catalogue_of_few_listings(tmp_path: Path) -> None:
    (tmp_path / "cma.toml").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="0 listings, 64 are needed"):
        bench(Project.open(tmp_path / "cma.toml"))
