"""Runs units of work on Dask workers, and finds the rows that kill the process that works on them.

A worker that dies takes all its units with it, and Dask blames each of them. So every unit whose worker died runs
again alone, in a process of its own; while that dies, the unit is halved, until it is one row.
"""

import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from flows.project.progress import Advance, console
from schemas.errors import UserError

if TYPE_CHECKING:
    from distributed import Client

# Deaths in a row that no bad row explains: halving a unit of 512 rows takes ten, if each first half is the bad one.
MOST_DEATHS = 40


U = TypeVar("U")


class Work(Protocol[U]):
    """What is done to units of rows, with the files of its results. It goes to the workers."""

    def run(self, unit: U) -> int:
        """Does the work, in a worker; returns the number of rows."""

    def is_done(self, unit: U) -> bool:
        """Whether the unit has results."""

    def halves(self, unit: U) -> list[U]:
        """The unit in two units; none for a unit of one row."""

    def give_up(self, unit: U, death: str) -> None:
        """Writes the result of a unit of one row whose process died: the row is rejected."""


def run_units(work: Work[U], units: Sequence[U], client: "Client", advance: Advance) -> list[U]:
    """Works on all units that have no results yet; returns those that have some now, halves in place of a unit that was
    halved. UserError where processes die whatever they work on."""
    from distributed import KilledWorker, as_completed

    done, suspects, unit_of = [], [], {}
    for unit in units:
        if work.is_done(unit):
            done.append(unit)
        else:
            unit_of[client.submit(work.run, unit, pure=False)] = unit
    for future in as_completed(list(unit_of)):
        unit = unit_of.pop(future)
        try:
            advance(future.result())
        except (KilledWorker, MemoryError):
            suspects.append(unit)
        else:
            done.append(unit)
    return done + _isolate(work, suspects, client, advance)


def _isolate(work: Work[U], suspects: Sequence[U], client: "Client", advance: Advance) -> list[U]:
    done, waiting, deaths = [], list(suspects), 0
    if suspects:
        console.print(f"{len(suspects)} units of work ended their worker process: looking for the rows that do this")
    while waiting:
        unit = waiting.pop()
        death = None if work.is_done(unit) else _run_alone(work, unit, client, advance)
        if death and (halves := work.halves(unit)):
            waiting += halves
            deaths += 1
        elif death and (death := _run_alone(work, unit, client, advance)):  # twice, since anything may kill a process
            work.give_up(unit, death)
            advance(1)
            deaths += 1
        else:
            deaths = 0
        if deaths > MOST_DEATHS:
            raise UserError(
                f"{deaths} worker processes in a row have died ({death}), whatever they worked on: most likely this "
                "machine has too little memory for the work, or a library does not run on it. What is finished is "
                "kept, and running this again continues from it"
            )
        if not death or work.is_done(unit):
            done.append(unit)
    return done


def _run_alone(work: Work[U], unit: U, client: "Client", advance: Advance) -> str | None:
    from distributed import KilledWorker

    try:
        death, rows = client.submit(run_in_child, work, unit, pure=False).result()
    except (KilledWorker, MemoryError):
        death, rows = "with its Dask worker", 0
    advance(rows)
    return None if work.is_done(unit) else death  # a process that died after its work is no fault of the rows


def run_in_child(work: Work[U], unit: U) -> tuple[str | None, int]:
    """Works on a unit in a child process. Returns what ended that process, such as "SIGSEGV" (None: nothing did), and
    the number of rows that have results. An error of the work is raised here."""
    from distributed.protocol.pickle import dumps, loads

    command = [sys.executable, "-m", "flows.project.child"]
    child = subprocess.run(command, input=dumps((work.run, unit)), stdout=subprocess.PIPE, check=False)  # noqa: S603 (a constant command)
    if child.returncode < 0:
        return signal.Signals(-child.returncode).name, 0
    if child.returncode:
        return f"exit code {child.returncode}", 0
    result = loads(child.stdout)
    if isinstance(result, MemoryError):
        return "out of memory", 0
    if isinstance(result, Exception):
        raise result
    return None, int(result)
