"""Trains every variant of an ablation with every seed, in worker processes. A restarted run trains what is missing."""

import shutil
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from queue import Empty, Queue

from flows.modelling.labelled import labelled_listings
from flows.project.progress import bar
from flows.project.project import Project, cores
from models.engines.machine import best_device, keep_freed_memory, use_threads
from models.experiments.outcomes import Outcome, Splits, run_variant
from models.experiments.train_variant import TrainingInputs, make_towers
from models.experiments.variants import variant_of
from models.inputs.preprocessing import Processor
from models.training.presets import Preset
from models.training.train import Progress
from schemas.errors import UserError

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Recipe:
    """What a worker needs to train variants: it reads the listings, and `data` is the hash that they must have."""

    config: Path
    feeds: tuple[str, ...]
    preset: Preset
    data: str
    folder: Path

    def outcome(self, name: str, seed: int) -> Path:
        """The file of a variant's outcome."""
        return self.folder / f"{name}-{seed}.safetensors"

    def towers(self, seed: int) -> Path:
        """The folder of the trained towers that all variants start from."""
        return self.folder / f"towers-{seed}"


def read_splits(project: Project, feeds: tuple[str, ...], preset: Preset) -> Splits:
    """The catalogue's labelled listings of these feeds (none: all), decoded for the preset's network."""
    network = preset.build(project.taxonomy, load_pretrained=False)
    processor = Processor.of(preset.architecture.backbone, network.backbone)
    processor.require_stored_size(project.settings.ingest.picture_size)
    return Splits.of(labelled_listings(project, feeds=feeds), processor, threads=cores())


def train_missing(recipe: Recipe, names: Sequence[str], seeds: Sequence[int], *, processes: int) -> None:
    """Trains the towers of each seed, then the variants that have no outcome yet, in `processes` processes."""
    absent = {seed: [name for name in names if Outcome.read(recipe.outcome(name, seed)) is None] for seed in seeds}
    missing = {seed: found for seed, found in absent.items() if found}
    if not missing:
        return
    context, total = get_context("spawn"), sum(map(len, missing.values()))
    with (
        context.Manager() as manager,
        ProcessPoolExecutor(processes, context, use_threads, (max(1, cores() // processes),)) as pool,
        bar("ablate", total) as advance,
    ):
        notes = manager.Queue()
        running: dict[Future[None], int | None] = {
            pool.submit(_train_towers, recipe, wanted, seed, notes): seed for seed, wanted in missing.items()
        }
        try:
            while running:
                finished, _ = wait(running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
                if note := _latest(notes):
                    advance(0, note=note)
                for future in finished:
                    seed = running.pop(future)
                    future.result()
                    if seed is None:
                        advance(1)
                    else:
                        running |= {
                            pool.submit(_train_variant, recipe, name, seed, notes): None for name in missing[seed]
                        }
        except BrokenProcessPool as error:
            raise UserError(
                "a process that trained a variant was killed, perhaps because memory ran out: run this again, and it "
                "resumes; --processes 1 needs the least memory"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # after an error, running trainings finish and are kept


def _train_towers(recipe: Recipe, names: Sequence[str], seed: int, notes: "Queue[str]") -> None:
    if any(variant_of(name).kind != "classical" for name in names):  # classical methods have no towers
        make_towers(_inputs(recipe, seed, notes, "towers")[0], recipe.towers(seed))


def _train_variant(recipe: Recipe, name: str, seed: int, notes: "Queue[str]") -> None:
    """Trains a variant, writes its outcome, and removes the checkpoints from which an interrupted training resumes."""
    inputs, splits = _inputs(recipe, seed, notes, name)
    checkpoints = recipe.folder / f"{name}-{seed}"
    outcome = run_variant(name, inputs, splits.test, towers=recipe.towers(seed), folder=checkpoints)
    outcome.write(recipe.outcome(name, seed))
    shutil.rmtree(checkpoints, ignore_errors=True)


def _inputs(recipe: Recipe, seed: int, notes: "Queue[str]", what: str) -> tuple[TrainingInputs, Splits]:
    project, splits = _read(recipe)

    def show(progress: Progress) -> None:
        if progress.step % 10 == 0 or progress.step == progress.steps:
            notes.put(f"{what}, seed {seed}: {progress.stage} {progress.step}/{progress.steps}")

    inputs = TrainingInputs(
        preset=replace(recipe.preset, seed=seed),
        taxonomy=project.taxonomy,
        train=splits.train,
        validation=splits.validation,
        device=best_device(),
        progress=show,
        features=project.picture_features,
        cache_bytes=int(project.settings.model.cache_gb * 1e9),
    )
    return inputs, splits


@cache
def _read(recipe: Recipe) -> tuple[Project, Splits]:
    """The project and its listings, which a process reads once."""
    keep_freed_memory()
    project = Project.open(recipe.config)
    splits = read_splits(project, recipe.feeds, recipe.preset)
    if splits.hash != recipe.data:
        raise UserError("the labelled listings have changed since this ablation began: run it again")
    return project, splits


def _latest(notes: "Queue[str]") -> str:
    note = ""
    with suppress(Empty):
        while True:
            note = notes.get_nowait()
    return note
