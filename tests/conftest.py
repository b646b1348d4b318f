"""Every shape that an annotation in `models` names is checked in all tests; one small project is trained for all."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import jaxtyping
import pytest
from filelock import FileLock

import tests.shapes  # noqa: F401 (before the hook that names it)

jaxtyping.install_import_hook("models", "tests.shapes.check_shapes")
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

PARALLEL = "PYTEST_XDIST_WORKER" in os.environ  # pytest -n 2: this process runs some of the files
if PARALLEL:
    os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "2")

# Tests start processes. Where nothing keeps compiled Python, each compiles PyTorch anew, longer than its test takes.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# In place of the demonstration's own model: one that tags ten times as fast.
BARELY_TRAINED = """\
[model]
preset = "small"
epochs = { titles = 1, pictures = 1, warm-up = 1, end-to-end = 1, tuning = 1 }

[tag]
partition_rows = 64
"""
LISTINGS = 800


@pytest.fixture(autouse=True, scope="session")
def _the_exporter_sees_plain_functions() -> Iterator[None]:
    """torch.export traces with symbolic sizes, which no checker of shapes can compare."""
    import torch

    real = torch.onnx.export

    def export(*arguments: Any, **options: Any) -> Any:
        jaxtyping.config.update("jaxtyping_disable", True)
        try:
            return real(*arguments, **options)
        finally:
            jaxtyping.config.update("jaxtyping_disable", False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.onnx, "export", export)
        yield


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CMA_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True, scope="session")
def _temporary_prefect_servers_share_no_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Commands that tests start in two pytest processes would otherwise lock each other's SQLite file."""
    with pytest.MonkeyPatch.context() as patch:
        if PARALLEL:
            patch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("prefect")))
        yield


@pytest.fixture(scope="session")
def picture_workers() -> Iterator[str]:
    """The address of real Dask workers that shrink pictures and tag listings for all tests: starting some takes
    seconds, and loading PyTorch there some more."""
    from flows.project.cluster import dask_client

    with dask_client("", 1 if PARALLEL else 2) as client:
        yield client.scheduler_info()["address"]


@pytest.fixture
def shared_workers(_no_settings_from_outside: None, monkeypatch: pytest.MonkeyPatch, picture_workers: str) -> None:
    """This test's ingests and tagging runs use the session's Dask workers."""
    monkeypatch.setenv("CMA_INGEST__DASK", picture_workers)
    monkeypatch.setenv("CMA_TAG__DASK", picture_workers)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In parallel, one process trains the project of all tests first, while the other runs tests that need none."""
    needing = [item.path for item in items if "trained" in getattr(item, "fixturenames", ())]
    if PARALLEL and needing:
        items.sort(key=lambda item: item.path != needing[0])


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, picture_workers: str) -> Path:
    """The config of a project whose sample catalogue is ingested, and whose barely trained model is compiled.

    Nothing is tagged yet. Tests copy it (`project_copy`); none changes it. Under `pytest -n 2`, the first process that
    needs it trains it, and each process has a copy.
    """
    if not PARALLEL:
        return _train(tmp_path_factory.mktemp("trained"), picture_workers)
    shared = tmp_path_factory.getbasetemp().parent / "trained"  # getbasetemp() is this process's own folder
    with FileLock(f"{shared}.lock"):
        if not shared.exists():
            built = tmp_path_factory.mktemp("trained")
            _train(built, picture_workers)
            shutil.copytree(built, shared)
    return Path(shutil.copytree(shared, tmp_path_factory.mktemp("copy") / "trained")) / "cma.toml"


def _train(folder: Path, picture_workers: str) -> Path:
    from catalog_io.sample.catalogue import make_sample
    from flows.experiments.demo import CONFIG
    from flows.ingestion.ingest import ingest
    from flows.modelling.compile import compile_champion
    from flows.modelling.train import train
    from flows.project.project import Project

    make_sample(folder / "catalogue", listings=LISTINGS, seed=3)
    config = folder / "cma.toml"
    config.write_text(CONFIG.partition("[model]")[0] + BARELY_TRAINED, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMA_INGEST__DASK", picture_workers)
        project = Project.open(config)
    ingest(project)
    train(project)
    compile_champion(project)
    return config


@pytest.fixture
def project_copy(trained: Path, tmp_path: Path, shared_workers: None) -> Path:
    """A config like `trained`, in a folder of the test's own."""
    shutil.copytree(trained.parent, tmp_path / "project")
    return tmp_path / "project" / "cma.toml"


@pytest.fixture(scope="session")
def tagged(trained: Path, tmp_path_factory: pytest.TempPathFactory, picture_workers: str) -> Path:
    """A config like `trained`, tagged, published and reported. No test changes it."""
    from flows.nightly import nightly
    from flows.project.project import Project

    folder = tmp_path_factory.mktemp("tagged") / "project"
    shutil.copytree(trained.parent, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMA_INGEST__DASK", picture_workers)
        patch.setenv("CMA_TAG__DASK", picture_workers)
        nightly(Project.open(folder / "cma.toml"))
    return folder / "cma.toml"


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[Callable[[], None]]:
    """A real Prefect server of the test session's own."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield lambda: None
