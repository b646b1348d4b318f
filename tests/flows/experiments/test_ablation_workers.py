"""The processes that train variants."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PROGRAM = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from flows.experiments.ablation_runs import start_worker


def train_for_long(note: str) -> None:
    Path(note).write_text(str(os.getpid()))
    time.sleep(600)


if __name__ == "__main__":
    with ProcessPoolExecutor(1, get_context("spawn"), start_worker, (1,)) as pool:
        pool.submit(train_for_long, sys.argv[1]).result()
"""


def test_a_worker_ends_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    note = tmp_path / "pid"
    started = subprocess.Popen([sys.executable, str(tmp_path / "program.py"), str(note)])
    try:
        wait_until(lambda: note.exists() and bool(note.read_text()))
        started.kill()
        started.wait()
        worker = Path("/proc") / note.read_text()
        wait_until(lambda: not worker.exists())
    finally:
        started.kill()


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)
