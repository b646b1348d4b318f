"""Every variant of an ablation trained with every seed, in processes of their own. What is finished stays finished."""

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
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

_LOOK_EVERY = 0.5  # seconds


@dataclass(frozen=True)
class Recipe:
    """What a worker needs to know; the listings it reads itself, and `data` is the hash that they must have."""

    config: Path
    feeds: tuple[str, ...]
    preset: Preset
    data: str
    folder: Path

    def outcome(self, name: str, seed: int) -> Path:
        return self.folder / f"{name}-{seed}.safetensors"

    def missing(self, names: Sequence[str], seed: int) -> list[str]:
        return [name for name in names if Outcome.read(self.outcome(name, seed)) is None]


def read_splits(project: Project, feeds: tuple[str, ...], preset: Preset) -> Splits:
    """The catalogue's labelled listings of these feeds (all, where none is named), decoded for the preset's network."""
    network = preset.build(project.taxonomy, load_pretrained=False)
    processor = Processor.of(preset.architecture.backbone, network.backbone)
    processor.require_stored_size(project.settings.ingest.picture_size)
    return Splits.of(labelled_listings(project, feeds=feeds), processor, threads=cores())


def train_missing(recipe: Recipe, names: Sequence[str], seeds: Sequence[int], *, processes: int) -> None:
    """Per seed the towers, then the variants that have no outcome yet, `processes` at a time."""
    missing = {seed: found for seed in seeds if (found := recipe.missing(names, seed))}
    if not missing:
        return
    context, total = get_context("spawn"), sum(map(len, missing.values()))
    with (
        context.Manager() as manager,
        ProcessPoolExecutor(processes, context, use_threads, (max(1, cores() // processes),)) as pool,
        bar("ablate", total) as advance,
    ):
        told = manager.Queue()
        running: dict[Future[None], int | None] = {
            pool.submit(_towers, recipe, wanted, seed, told): seed for seed, wanted in missing.items()
        }
        try:
            while running:
                finished, _ = wait(running, timeout=_LOOK_EVERY, return_when=FIRST_COMPLETED)
                if note := _latest(told):
                    advance(0, note=note)
                for future in finished:
                    seed = running.pop(future)
                    future.result()
                    if seed is None:
                        advance(1)
                    else:
                        running |= {pool.submit(_variant, recipe, name, seed, told): None for name in missing[seed]}
        except BrokenProcessPool as error:
            raise UserError(
                "a process that trained a variant was killed, perhaps because memory ran out: run this again, and it "
                "resumes; --processes 1 needs the least memory"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # after an error, what is under way is finished and kept


def _towers(recipe: Recipe, names: Sequence[str], seed: int, told: "Queue[str]") -> None:
    """For these variants, where one of them has any."""
    if all(variant_of(name).kind == "classical" for name in names):
        return
    inputs, _ = _inputs(recipe, seed, _teller(told, f"towers, seed {seed}"))
    make_towers(inputs, _towers_of(recipe, seed))


def _variant(recipe: Recipe, name: str, seed: int, told: "Queue[str]") -> None:
    """The outcome's file appears when it is whole; the checkpoints, from which a killed training goes on, go then."""
    inputs, splits = _inputs(recipe, seed, _teller(told, f"{name}, seed {seed}"))
    checkpoints = recipe.folder / f"{name}-{seed}"
    outcome = run_variant(name, inputs, splits.test, towers=_towers_of(recipe, seed), folder=checkpoints)
    outcome.write(recipe.outcome(name, seed))
    shutil.rmtree(checkpoints, ignore_errors=True)


def _inputs(recipe: Recipe, seed: int, progress: Callable[[Progress], None]) -> tuple[TrainingInputs, Splits]:
    project, splits = _material(recipe)
    inputs = TrainingInputs(
        preset=replace(recipe.preset, seed=seed),
        taxonomy=project.taxonomy,
        train=splits.train,
        validation=splits.validation,
        device=best_device(),
        progress=progress,
    )
    return inputs, splits


@cache
def _material(recipe: Recipe) -> tuple[Project, Splits]:
    """Read once a process."""
    keep_freed_memory()
    project = Project.open(recipe.config)
    splits = read_splits(project, recipe.feeds, recipe.preset)
    if splits.hash != recipe.data:
        raise UserError("the labelled listings have changed since this ablation began: run it again")
    return project, splits


def _towers_of(recipe: Recipe, seed: int) -> Path:
    return recipe.folder / f"towers-{seed}"


def _teller(told: "Queue[str]", who: str) -> Callable[[Progress], None]:
    def tell(progress: Progress) -> None:
        if progress.step % 10 == 0 or progress.step == progress.steps:
            told.put(f"{who}: {progress.stage} {progress.step}/{progress.steps}")

    return tell


def _latest(told: "Queue[str]") -> str:
    note = ""
    while True:
        try:
            note = told.get_nowait()
        except Empty:
            return note
