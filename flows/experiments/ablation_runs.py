"""Trains every variant of an ablation with every seed, in worker processes. A restarted run trains what is missing."""

import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import filelock

from flows.project.progress import bar
from flows.project.project import Project, cores
from models.engines.machine import best_device, keep_freed_memory, use_threads
from models.experiments.outcomes import Outcome, run_variant
from models.experiments.splits import Splits, decoded, sizes, some_products
from models.experiments.train_variant import TrainingInputs, make_towers
from models.experiments.variants import variant_of
from models.inputs.examples import Examples
from models.inputs.preprocessing import Processor
from models.training.presets import Preset
from models.training.train import Progress
from schemas.errors import UserError

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Recipe:
    """What a worker needs to train variants. `listings` is the folder of the decoded listings, which exists while
    variants are trained; `labels` the number of training listings that it takes of them (None: all)."""

    config: Path
    preset: Preset
    listings: Path
    folder: Path
    labels: int | None = None

    def outcome(self, name: str, seed: int) -> Path:
        """The file of a variant's outcome."""
        return self.folder / f"{name}-{seed}.safetensors"

    def towers(self, seed: int) -> Path:
        """The folder of the trained towers that all variants start from."""
        return self.folder / f"towers-{seed}"


def train_missing(
    recipes: Sequence[Recipe],
    splits: Splits,
    project: Project,
    names: Sequence[str],
    seeds: Sequence[int],
    *,
    processes: int,
) -> None:
    """Trains the towers of each seed, then the variants that have no outcome yet, in `processes` processes, recipe
    after recipe, all of the same listings. UserError where another run uses these listings."""
    wanted = [(recipe, missing) for recipe in recipes if (missing := _missing(recipe, names, seeds))]
    if not wanted:
        return
    listings = recipes[0].listings
    listings.parent.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(listings.with_name(".lock"), timeout=0):
            _decode(recipes[0], splits, project)
            for recipe, missing in wanted:
                recipe.folder.mkdir(parents=True, exist_ok=True)
                _train(recipe, missing, processes)
            shutil.rmtree(listings)
    except filelock.Timeout as fault:
        raise UserError(f"another ablation is running in {listings.parent}: wait until it has ended") from fault


def _missing(recipe: Recipe, names: Sequence[str], seeds: Sequence[int]) -> dict[int, list[str]]:
    """By seed, the variants that have no outcome."""
    absent = {seed: [name for name in names if Outcome.read(recipe.outcome(name, seed)) is None] for seed in seeds}
    return {seed: found for seed, found in absent.items() if found}


def _decode(recipe: Recipe, splits: Splits, project: Project) -> None:
    done = recipe.listings / "done"
    if not done.exists():
        preset = recipe.preset
        network = preset.build(project.taxonomy, load_pretrained=False)
        processor = Processor.of(preset.architecture.backbone, network.backbone)
        processor.require_stored_size(project.settings.ingest.picture_size)
        splits.decode(processor, recipe.listings, threads=cores())
        done.touch()


def _train(recipe: Recipe, missing: Mapping[int, Sequence[str]], processes: int) -> None:
    context, total = get_context("spawn"), sum(map(len, missing.values()))
    with (
        context.Manager() as manager,
        ProcessPoolExecutor(processes, context, start_worker, (max(1, cores() // processes),)) as pool,
        bar(f"ablate, {recipe.labels} labels" if recipe.labels else "ablate", total) as advance,
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


def start_worker(threads: int) -> None:
    """Sets the threads of a process, which ends when the process that started it is gone, even by SIGKILL."""
    use_threads(threads)
    parent = parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    Thread(target=end_with_parent, daemon=True).start()


def _train_towers(recipe: Recipe, names: Sequence[str], seed: int, notes: "Queue[str]") -> None:
    if any(variant_of(name).kind != "classical" for name in names):  # classical methods have no towers
        make_towers(_inputs(recipe, seed, notes, "towers")[0], recipe.towers(seed))


def _train_variant(recipe: Recipe, name: str, seed: int, notes: "Queue[str]") -> None:
    """Trains a variant, writes its outcome, and removes the checkpoints from which an interrupted training resumes."""
    inputs, test = _inputs(recipe, seed, notes, name)
    checkpoints = recipe.folder / f"{name}-{seed}"
    outcome = run_variant(name, inputs, test, towers=recipe.towers(seed), folder=checkpoints)
    outcome.write(recipe.outcome(name, seed))
    shutil.rmtree(checkpoints, ignore_errors=True)


def _inputs(recipe: Recipe, seed: int, notes: "Queue[str]", what: str) -> tuple[TrainingInputs, Examples]:
    """The inputs of a training, and the test listings."""
    project, train, validation, test = _read(recipe, seed)

    def show(progress: Progress) -> None:
        if progress.step % 10 == 0 or progress.step == progress.steps:
            notes.put(f"{what}, seed {seed}: {progress.stage} {progress.step}/{progress.steps}")

    inputs = TrainingInputs(
        preset=replace(recipe.preset, seed=seed),
        taxonomy=project.taxonomy,
        train=train,
        validation=validation,
        device=best_device(),
        progress=show,
        features=project.picture_features,
        cache_bytes=int(project.settings.model.cache_gb * 1e9),
    )
    return inputs, test


@lru_cache(maxsize=1)
def _read(recipe: Recipe, seed: int) -> tuple[Project, Examples, Examples, Examples]:
    """The project and the listings, which a process opens once. With `labels`, each seed has others of them."""
    keep_freed_memory()
    train, validation, test = decoded(recipe.listings)
    if recipe.labels is not None:
        counts = sizes(recipe.labels, len(train), len(validation))
        train, validation = (
            part.take(some_products(part.products, count, seed=seed)) if count < len(part) else part
            for part, count in zip((train, validation), counts, strict=True)
        )
    return Project.open(recipe.config), train, validation, test


def _latest(notes: "Queue[str]") -> str:
    note = ""
    with suppress(Empty):
        while True:
            note = notes.get_nowait()
    return note
