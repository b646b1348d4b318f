"""A contender of the bench: one way to run the network, opened once in a process of its own and measured in turns."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import polars as pl

from catalog_io.feature_store import write_features
from flows.tagging.units import AT_ONCE
from models.engines.features import encode
from models.engines.interface import EngineIdentity, InferenceEngine, Predictions
from models.engines.machine import keep_freed_memory, use_threads
from models.engines.nvidia.tensorrt.presence import TensorRtSettings
from models.engines.table import ENGINES, REFERENCE
from models.experiments.bench import MatrixProduct, NaiveEngine, work_of
from models.lifecycle.model import Model
from models.lifecycle.tagger import Tagger
from schemas.files import write_parquet

T = TypeVar("T")

_BATCH = 64  # listings
_SECONDS = 2.0  # the shortest turn of an engine
# A worker starts and ends slowly, so its turn is longer and tags all files at least twice.
_WORKER_SECONDS = 6.0
_ROUNDS = 2


@dataclass(frozen=True)
class Setup:
    """A model's folder, in which engines are built; WORK files of listings; threads for each contender."""

    model: Path
    work: tuple[Path, ...]
    threads: int


class Opened(NamedTuple):
    identity: EngineIdentity
    seconds: float  # from the model's files to the first batch of predictions


class Contender:
    """The network on an engine, fed with examples; of kind `worker`: a worker of `cma tag`, which reads stored
    pictures, runs `engine`, and writes features and tags."""

    def __init__(self, setup: Setup, kind: str, engine: str) -> None:
        began = time.perf_counter()
        keep_freed_memory()
        use_threads(setup.threads)
        self._model = Model.open(setup.model)
        self._engine = _engine(setup, engine, self._model)
        self._tagger = Tagger(self._model, self._engine, self._model.card.certificates)
        self._work = setup.work
        self._whole = kind == "worker"
        opened = time.perf_counter() - began
        self._examples, _ = self._tagger.examples(pl.read_parquet(list(setup.work)))
        if kind == "naive":  # each batch takes it equally long
            self._examples = self._examples.take(np.arange(_BATCH))
        began = time.perf_counter()
        encode(self._engine, self._examples.take(np.arange(_BATCH)))
        self.opened = Opened(self._engine.identity, opened + time.perf_counter() - began)

    def turn(self) -> float:
        """Listings a second in one turn."""
        began, done = time.perf_counter(), 0
        if self._whole:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                numbers = count()
                threads = [pool.submit(self._work_on, numbers, began) for _ in range(AT_ONCE)]
                done = sum(thread.result() for thread in threads)
        else:
            while time.perf_counter() - began < _SECONDS:
                encode(self._engine, self._examples)
                done += len(self._examples)
        return done / (time.perf_counter() - began)

    def _work_on(self, numbers: Iterator[int], began: float) -> int:
        """Tags one file after the other, independently of other threads, and returns the number of listings."""
        least, done = _ROUNDS * len(self._work), 0
        while (number := next(numbers)) < least or time.perf_counter() - began < _WORKER_SECONDS:
            done += self._tag(self._work[number % len(self._work)])
        return done

    def _tag(self, part: Path) -> int:
        encoded = self._tagger.encode(pl.read_parquet(part))
        write_features(part.with_suffix(".features"), encoded)
        write_parquet(part.with_suffix(".tags"), self._tagger.tag_encoded(encoded))
        return encoded.height

    def predictions(self) -> Predictions:
        return self._model.predict(self._engine, self._examples)

    def work(self) -> float:
        """Floating-point operations for each listing."""
        return work_of(self._model.network, self._examples, batch=_BATCH)


def _engine(setup: Setup, name: str, model: Model) -> InferenceEngine:
    if name == "naive":
        return NaiveEngine(model.network)
    if name == REFERENCE:
        return model.reference_engine()
    built = EngineIdentity(**json.loads(_built(setup, name).read_text(encoding="utf-8")))
    return ENGINES[name].load().open(model, built, threads=setup.threads)


def _built(setup: Setup, backend: str) -> Path:
    return setup.model / f"{backend}.json"


# The functions below run in the process of a contender, or in one that measures the machine.
_here: list[Contender] = []


def ready() -> None:
    """Does nothing: a process that has called it has imported this module."""


def build(setup: Setup, backend: str) -> None:
    """Builds an engine as `cma compile` does, without the gate."""
    model, settings = Model.open(setup.model), TensorRtSettings()
    engine = ENGINES[backend].load().build(model, threads=setup.threads, tensorrt=settings)
    _built(setup, backend).write_text(json.dumps(asdict(engine.identity)), encoding="utf-8")


def open_here(setup: Setup, kind: str, engine: str) -> Opened:
    _here[:] = [Contender(setup, kind, engine)]
    return _here[0].opened


def call_here(method: Callable[[Contender], T]) -> T:
    """Calls a method of this process's contender."""
    return method(_here[0])


def matrix_rate(threads: int, device: str) -> float:
    """Floating-point operations a second of a large matrix product."""
    use_threads(threads)
    return MatrixProduct(device).rate()


def peak_memory() -> int:
    """The most bytes that this process has used at once; 0 on other systems than Linux."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
