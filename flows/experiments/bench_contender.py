"""One way to run the network, in a process of its own: opened once, then asked to take turns."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple

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

_BATCH = 64
_SECONDS = 2.0  # that a turn takes at least
# A worker needs time to get going, and to finish: its turn takes at least so long, and all parts twice.
_WORKER_SECONDS = 6.0
_ROUNDS = 2


@dataclass(frozen=True)
class Setup:
    """A model's folder, in which engines are built, and WORK files of listings."""

    model: Path
    work: tuple[Path, ...]
    threads: int


class Opened(NamedTuple):
    """`seconds` from the model's files to the first batch of answers."""

    identity: EngineIdentity
    seconds: float


class Contender:
    """`worker` does what a worker of `cma tag` does with a partition: stored pictures in, tags out, by `engine`."""

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
        if kind == "naive":  # every listing costs it the same
            self._examples = self._examples.take(np.arange(_BATCH))
        began = time.perf_counter()
        encode(self._engine, self._examples.take(np.arange(_BATCH)))
        self.opened = Opened(self._engine.identity, opened + time.perf_counter() - began)

    def turn(self) -> float:
        """Listings a second."""
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
        """One part after the other, without waiting for other threads, as in a night. Returns the listings."""
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
        """Floating-point operations a listing."""
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


# What follows runs in the process of one contender, or of the matrix product that tells how fast the machine is.
_here: list[Contender] = []


def ready() -> None:
    """To call it, a process must have imported all this."""


def build(setup: Setup, backend: str) -> None:
    """What `cma compile` does, without the gate."""
    model, settings = Model.open(setup.model), TensorRtSettings()
    engine = ENGINES[backend].load().build(model, threads=setup.threads, tensorrt=settings)
    _built(setup, backend).write_text(json.dumps(asdict(engine.identity)), encoding="utf-8")


def open_here(setup: Setup, kind: str, engine: str) -> Opened:
    _here[:] = [Contender(setup, kind, engine)]
    return _here[0].opened


def turn_here() -> float:
    return _here[0].turn()


def predictions_here() -> Predictions:
    return _here[0].predictions()


def work_here() -> float:
    return _here[0].work()


def matrix_rate(threads: int, device: str) -> float:
    use_threads(threads)
    return MatrixProduct(device).rate()


def peak_memory() -> int:
    """Bytes of this process so far. Linux alone tells; elsewhere 0."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
