"""The record of runs: dead ones are told from live ones, and a failure that cannot be recorded is not hidden."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from catalog_io.catalog.catalog import Catalog
from flows.project.runs import mark_crashed, recorded
from schemas.errors import UserError
from schemas.taxonomy import Taxonomy

SLEEPER = """
import sys, time
from pathlib import Path
from catalog_io.catalog.catalog import Catalog
from flows.project.runs import recorded
with recorded(Catalog(Path(sys.argv[1])), "nightly"):
    print("running", flush=True)
    time.sleep(100)
"""


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    catalog = Catalog(tmp_path / "home")
    catalog.create(Taxonomy.from_dict({"color": {"values": ["red", "gray"]}}))
    return catalog


def states(catalog: Catalog) -> list[tuple[str, str]]:
    return catalog.runs().select("flow", "state").sort("flow").rows()


def test_a_killed_run_is_marked_and_a_living_one_is_not(catalog: Catalog) -> None:
    command = [sys.executable, "-c", SLEEPER, str(catalog.home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"running\n"
        mark_crashed(catalog)
        assert states(catalog) == [("nightly", "running")]
        os.kill(process.pid, signal.SIGKILL)
    with recorded(catalog, "tag-catalog"):  # whoever comes next marks it
        assert states(catalog) == [("nightly", "crashed"), ("tag-catalog", "running")]
    assert states(catalog) == [("nightly", "crashed"), ("tag-catalog", "completed")]
    assert "killed" in catalog.runs().filter(flow="nightly")["summary"].item()
    assert not list((catalog.home / "runs").iterdir())


def test_a_run_of_an_earlier_version_that_never_ended_is_marked(catalog: Catalog) -> None:
    catalog.start_run("old", "ingest-catalog")
    mark_crashed(catalog)
    assert states(catalog) == [("ingest-catalog", "crashed")]


def test_a_fault_that_cannot_be_recorded_is_still_told(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(catalog, "finish_run", full)
    with pytest.raises(UserError, match=r"weights\.bin.*the disk is full.*Free some space"), recorded(catalog, "train"):
        raise OSError(28, "No space left on device", "weights.bin")
    assert "could not be recorded" in capsys.readouterr().err


def test_a_mistake_of_the_program_stays_what_it_is(catalog: Catalog) -> None:
    with pytest.raises(ZeroDivisionError), recorded(catalog, "train"):
        _ = 1 / 0
    assert states(catalog) == [("train", "failed")]
    with pytest.raises(KeyboardInterrupt), recorded(catalog, "zzz"):
        raise KeyboardInterrupt
    assert states(catalog)[-1] == ("zzz", "failed")
