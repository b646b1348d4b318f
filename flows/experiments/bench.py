"""Measures the speed of the network on the catalogue's listings: plain PyTorch, each engine, and a worker of `cma tag`.

Each contender has a process of its own, and they take turns, so that other load on the machine slows all alike."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from catalog_io.partitions import write_partitions
from flows.experiments import bench_contender as contender
from flows.experiments.bench_contender import Contender, Setup
from flows.project.progress import bar
from flows.project.project import Project, cores
from models.engines.table import ENGINES, candidates
from models.experiments.bench import untrained_model
from models.lifecycle.card import CARD, WEIGHTS
from models.lifecycle.gate import Gate, compare
from models.training.presets import preset
from schemas.errors import UserError

FEWEST = 64  # listings that a bench needs: one batch

T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """The results of one contender. `of_…` are ratios of rates within rounds, as medians over the rounds."""

    kind: str  # naive, worker, or an engine
    precision: str
    rates: list[float]  # listings a second, by round
    of_naive: float  # to the rate of `naive`
    of_roofline: float  # to the rate of large matrix products with the same operations, on the same device
    of_engine: float | None  # for the worker: to the rate of its engine
    gate: Gate | None  # comparison with the predictions of torch in float32
    peak_memory: int  # bytes
    load_seconds: float

    @property
    def rate(self) -> float:
        return median(self.rates)


@dataclass(frozen=True)
class BenchSummary:
    model: str
    processor: str
    threads: int
    listings: int
    work: float  # floating-point operations for each listing
    matrix_rates: dict[str, list[float]]  # floating-point operations a second, by device (cpu, cuda) and round
    rows: list[Row]


def bench(project: Project, *, preset_name: str | None = None, listings: int = 512, rounds: int = 5) -> BenchSummary:
    """Measures the champion, or a preset's network with random weights, which is as fast as a trained one. UserError
    where the catalogue has fewer than FEWEST listings."""
    frame = project.catalog.listings()
    if frame.height < FEWEST:
        raise UserError(f"the catalogue has {frame.height} listings, {FEWEST} are needed: run `cma ingest` first")
    frame = frame.sample(min(listings, frame.height), seed=0)
    best, *others = candidates("auto")
    compiled = [*reversed(others[:-1]), best]  # all but torch
    engines = {kind: kind for kind in ("naive", "torch", *compiled)} | {"worker": best}
    devices = {kind: ENGINES[engine].device if engine in ENGINES else "cpu" for kind, engine in engines.items()}
    with TemporaryDirectory(prefix="cma-bench-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        parts = write_partitions(frame, project.shards, folder, rows_per_partition=4 * FEWEST)
        setup = Setup(_model(project, preset_name, folder / "model"), tuple(parts), cores())
        advance = stack.enter_context(bar("bench", (1 + rounds) * len(engines)))
        machine = Process(stack, "building", advance)
        contenders = {kind: Process(stack, kind, advance) for kind in engines}
        for backend in compiled:
            machine.ask(contender.build, setup, backend)
        opened = {kind: contenders[kind].do(contender.open_here, setup, kind, engines[kind]) for kind in engines}
        matrix_rates: dict[str, list[float]] = {device: [] for device in set(devices.values())}
        rates: dict[str, list[float]] = {kind: [] for kind in engines}
        for number in range(rounds):
            for device, found in matrix_rates.items():
                found.append(machine.ask(contender.matrix_rate, setup.threads, device))
            for kind in engines if number % 2 == 0 else reversed(engines):
                rates[kind].append(contenders[kind].do(contender.call_here, Contender.turn))
        memory = {kind: process.ask(contender.peak_memory) for kind, process in contenders.items()}
        predictions = {
            kind: contenders[kind].ask(contender.call_here, Contender.predictions) for kind in ("torch", *compiled)
        }
        work_of_one = contenders["torch"].ask(contender.call_here, Contender.work)
    return BenchSummary(
        model=preset_name or project.model_folder().name,
        processor=opened[best].identity.device,
        threads=setup.threads,
        listings=frame.height,
        work=work_of_one,
        matrix_rates=matrix_rates,
        rows=[
            Row(
                kind=kind,
                precision=opened[kind].identity.precision,
                rates=rates[kind],
                of_naive=_ratio(rates[kind], rates["naive"]),
                of_roofline=_ratio(rates[kind], matrix_rates[devices[kind]]) * work_of_one,
                of_engine=_ratio(rates[kind], rates[best]) if kind == "worker" else None,
                gate=compare(predictions["torch"], predictions[kind]) if kind in predictions else None,
                peak_memory=memory[kind],
                load_seconds=opened[kind].seconds,
            )
            for kind in engines
        ],
    )


def _model(project: Project, preset_name: str | None, folder: Path) -> Path:
    """Creates a folder of the model to measure, where engines may be built."""
    if preset_name:
        untrained_model(folder, preset(preset_name), project.taxonomy)
    else:
        folder.mkdir()
        for name in (CARD, WEIGHTS):
            (folder / name).symlink_to(project.model_folder() / name)
    return folder


class Process:
    """One process, which runs all tasks of a contender."""

    def __init__(self, stack: ExitStack, name: str, advance: Callable[..., None]) -> None:
        self._pool = stack.enter_context(ProcessPoolExecutor(1, get_context("spawn")))
        self._pool.submit(contender.ready)  # all start at once
        self._name, self._advance = name, advance

    def do(self, task: Callable[..., T], *arguments: Any) -> T:
        """Runs a task as a step of the progress bar, and returns its result."""
        self._advance(0, note=self._name)
        done = self.ask(task, *arguments)
        self._advance(1)
        return done

    def ask(self, task: Callable[..., T], *arguments: Any) -> T:
        """Runs a task and returns its result."""
        return self._pool.submit(task, *arguments).result()


def _ratio(rates: list[float], to: list[float]) -> float:
    return median(one / other for one, other in zip(rates, to, strict=True))
