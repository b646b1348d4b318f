"""A Dask scheduler that does not answer, or dies while it is in use, ends in a sentence."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dask
import distributed  # noqa: F401 (brings the settings that the tests change)
import pytest

from flows.project.cluster import dask_client
from schemas.errors import UserError


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address and the process of a scheduler of its own, with one worker."""
    file = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(file), "--no-dashboard"]
    options = ["--port", "0", "--host", "127.0.0.1", "--no-dashboard", "--no-show", "--scheduler-file", str(file)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*dask, *options], **quiet) as process, subprocess.Popen(worker, **quiet) as other:
        try:
            deadline = time.monotonic() + 60
            while not file.exists():
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
            found = re.search(r"tcp://[\d.:]+", file.read_text(encoding="utf-8"))
            assert found
            yield found[0], process
        finally:
            process.kill()
            other.kill()


def test_a_scheduler_that_dies_is_named(scheduler: tuple[str, subprocess.Popen[bytes]]) -> None:
    address, process = scheduler
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "2s"}),
        pytest.raises(UserError, match=rf"scheduler at {address} was lost.*run this again"),
        dask_client(address, 0) as client,
    ):
        client.wait_for_workers(1, timeout=60)
        future = client.submit(time.sleep, 60)
        process.kill()
        future.result()


def test_a_scheduler_that_does_not_answer_is_named() -> None:
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(UserError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1 .*start it"),
        dask_client("tcp://127.0.0.1:1", 0),
    ):
        pass
