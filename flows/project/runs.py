"""The record of runs in the catalogue. A run holds a lock for as long as it lives, so that a dead one is known."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

import filelock

from catalog_io.catalog.catalog import Catalog
from flows.project.faults import explained
from flows.project.progress import console


@dataclass
class Run:
    """One run of a flow; `summary` goes into the table of runs."""

    run_id: str
    summary: dict[str, object] = field(default_factory=dict)


@contextmanager
def recorded(catalog: Catalog, flow: str) -> Iterator[Run]:
    """Records a run of a flow: its start, its end (completed or failed) and its summary. Runs that ended without a word
    become `crashed`. A fault of the machine leaves as a UserError, also where it cannot be recorded any more."""
    run = Run(f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{token_hex(2)}")
    mark_crashed(catalog)
    with _lock(catalog.home, run.run_id):
        catalog.start_run(run.run_id, flow)
        try:
            yield run
        except BaseException as error:
            told = explained(error) or error
            try:
                catalog.finish_run(run.run_id, "failed", {**run.summary, "error": str(told) or repr(told)})
            except Exception as second:  # most likely of the same cause, such as a full disk
                console.print(f"the failure of run {run.run_id} could not be recorded ({second})", markup=False)
            if told is error:
                raise
            raise told from error
        catalog.finish_run(run.run_id, "completed", run.summary)
    _lock_path(catalog.home, run.run_id).unlink(missing_ok=True)


def mark_crashed(catalog: Catalog) -> None:
    """Runs that are recorded as running and hold no lock become `crashed`: their process was killed, or its machine."""
    dead = []
    for run_id in catalog.running():
        try:
            with _lock(catalog.home, run_id):
                dead.append(run_id)
        except filelock.Timeout:
            continue
        _lock_path(catalog.home, run_id).unlink(missing_ok=True)
    if dead:
        catalog.mark_crashed(dead)


def _lock(home: Path, run_id: str) -> filelock.FileLock:
    path = _lock_path(home, run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(path, timeout=0)


def _lock_path(home: Path, run_id: str) -> Path:
    return home / "runs" / f"{run_id}.lock"
