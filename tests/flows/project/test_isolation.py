"""Rows that kill the process that works on them are found and given up, in real Dask workers; others get results."""

import ctypes
import os
import resource
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from distributed import Client

from flows.project import isolation
from flows.project.cluster import dask_client
from flows.project.isolation import run_units
from flows.project.progress import bar
from schemas.errors import UserError

Rows = tuple[int, ...]


@dataclass(frozen=True)
class Numbers:
    """Work on tuples of numbers, whose results are files; `harm` is done to the process by each row."""

    folder: Path
    harm: Callable[[int, int], None]  # of a row, and of the number of rows in the unit

    def path(self, rows: Rows) -> Path:
        return self.folder / "-".join(map(str, rows))

    def run(self, unit: Rows) -> int:
        for row in unit:
            self.harm(row, len(unit))
        self.path(unit).write_text("done", encoding="utf-8")
        return len(unit)

    def is_done(self, unit: Rows) -> bool:
        return self.path(unit).exists()

    def halves(self, unit: Rows) -> list[Rows]:
        middle = len(unit) // 2
        return [unit[:middle], unit[middle:]] if middle else []

    def give_up(self, unit: Rows, death: str) -> None:
        self.path(unit).write_text(death, encoding="utf-8")


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with dask_client("", 2) as client:
        yield client


def results(client: Client, work: Numbers, units: list[Rows]) -> dict[int, str]:
    """The result of each row; every row must have one."""
    with bar("test", None) as advance:
        done = run_units(work, units, client, advance)
    rows = [row for unit in done for row in unit]
    assert sorted(rows) == sorted(row for unit in units for row in unit)
    return {row: work.path(unit).read_text(encoding="utf-8") for unit in done for row in unit}


def test_only_the_rows_that_kill_are_given_up(client: Client, tmp_path: Path) -> None:
    def harm(row: int, rows: int) -> None:
        if row == 3:
            ctypes.string_at(0)
        if row == 20:
            os._exit(3)

    units = [tuple(range(start, start + 8)) for start in range(0, 32, 8)]
    found = results(client, Numbers(tmp_path, harm), units)
    assert {row: result for row, result in found.items() if result != "done"} == {3: "SIGSEGV", 20: "exit code 3"}


def test_a_unit_too_large_for_the_memory_is_done_in_smaller_ones(client: Client, tmp_path: Path) -> None:
    def harm(row: int, rows: int) -> None:
        """Takes 1 GB a row, of the 3 GB that the process may still take: really, by its limit."""
        used = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (used + 3 * 10**9, before[1]))
        try:
            np.empty(rows * 10**9, np.uint8)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)

    work = Numbers(tmp_path, harm)
    assert set(results(client, work, [(1, 2, 3, 4, 5, 6, 7, 8), (9, 10)]).values()) == {"done"}
    assert not work.path((1, 2, 3, 4)).exists()
    assert work.path((9, 10)).exists()


def test_workers_that_die_as_soon_as_they_start_are_replaced(client: Client, tmp_path: Path) -> None:
    def harm(row: int, rows: int) -> None:
        if row % 3:
            os.kill(os.getpid(), signal.SIGKILL)

    found = results(client, Numbers(tmp_path, harm), [(row,) for row in range(9)])
    assert {row for row, result in found.items() if result == "done"} == {0, 3, 6}
    assert {result for row, result in found.items() if row % 3} == {"SIGKILL"}


def test_where_all_processes_die_no_row_is_blamed(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def harm(row: int, rows: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(isolation, "MOST_DEATHS", 3)
    with pytest.raises(UserError, match=r"4 worker processes in a row have died \(SIGKILL\).*memory"):
        results(client, Numbers(tmp_path, harm), [tuple(range(64))])
    assert not list(tmp_path.iterdir())


def test_an_error_of_the_work_is_raised(client: Client, tmp_path: Path) -> None:
    def harm(row: int, rows: int) -> None:
        if row == 1:
            raise UserError("the file is damaged")
        if row == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if row == 3 and rows == 1:
            raise UserError("the other file is damaged")

    with pytest.raises(UserError, match="the file is damaged"):
        results(client, Numbers(tmp_path, harm), [(1,)])
    with pytest.raises(UserError, match="the other file is damaged"):
        results(client, Numbers(tmp_path, harm), [(2, 3)])
