"""Algorithm 1: stage after stage, each starting from the best checkpoint of the one before."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from models.inputs.examples import Examples
from models.network.cma_clip import CmaClip
from models.training.distributed import rank, wait_for_all
from models.training.objective.augmentation import mirrored
from models.training.presets import Preset
from models.training.saved.checkpoints import load, save
from models.training.saved.feature_cache import FeatureCache, attach_feature_cache
from models.training.stage import Progress, StageRun
from models.training.statistics import fit_statistics, fit_titles
from models.training.teacher.opinion_pool import fit_pool

__all__ = ["History", "Progress", "prepare_towers", "train"]


@dataclass
class History:
    """By stage: the validation accuracy (mean over tasks) before it and after each epoch, and the loss of each step."""

    accuracy: dict[str, list[float]] = field(default_factory=dict)
    loss: dict[str, list[float]] = field(default_factory=dict)


def train(
    network: CmaClip,
    preset: Preset,
    examples: Examples,
    validation: Examples,
    *,
    folder: Path,
    device: torch.device,
    progress: Callable[[Progress], None] | None = None,
    save_seconds: float = 60.0,
    cache_bytes: int = 20_000_000_000,
    features: Path | None = None,
) -> History:
    """Trains the network in place and writes each stage's best checkpoint to `<folder>/<stage>.safetensors`.

    A training that was killed resumes from the checkpoints in `folder`, to the same result as if it had never been
    stopped; a stage's partial checkpoint is saved every `save_seconds` at most. Outputs of frozen parts are cached in
    `folder`, up to `cache_bytes`, until their stage ends; what the trunk of a picture tower gives is cached in
    `features` (None: not at all), up to as many bytes, for later runs, too. The network keeps this cache. At the end
    the pool of heads and probes is fitted, if the preset has one.
    """
    cache = prepare_towers(
        network,
        preset,
        examples,
        validation,
        device=device,
        progress=progress,
        cache_bytes=cache_bytes,
        features=features,
    )
    pictures = _pictures(preset, examples, validation)
    history = History()
    for stage in preset.stages:
        if not stage.epochs:
            continue
        checkpoint = folder / f"{stage.name}.safetensors"
        if (done := load(checkpoint)) is None:
            network.backbone.feature_cache = None if stage.moves_trunk else cache
            if cache and not stage.moves_trunk and cache.open():  # a stage before has moved the trunk
                cache.fill(*pictures, progress=_feature_progress(progress))
            run = StageRun(
                network=network,
                preset=preset,
                stage=stage,
                examples=examples,
                validation=validation,
                folder=folder,
                device=device,
                save_seconds=save_seconds,
                cache_bytes=cache_bytes,
                progress=progress,
            )
            state = run.run()
            if rank() == 0:
                save(checkpoint, network.state_dict(), {"accuracy": state.scores, "loss": state.losses})
                (folder / f"{stage.name}.partial.safetensors").unlink(missing_ok=True)
                shutil.rmtree(folder / f"{stage.name}.outputs", ignore_errors=True)
            wait_for_all()
            if (done := load(checkpoint)) is None:
                raise OSError(f"{checkpoint} was written and cannot be read again: is the disk failing?")
        weights, note = done
        network.load_state_dict(weights)
        history.accuracy[stage.name], history.loss[stage.name] = note["accuracy"], note["loss"]
    if cache:
        cache.open()
        network.backbone.feature_cache = cache
    if preset.pools_probes and any("heads" in stage.parts for stage in preset.stages if stage.epochs):
        fit_pool(network, validation, swapped=preset.swapped, of_titles=preset.of_titles)
    return history


def prepare_towers(
    network: CmaClip,
    preset: Preset,
    examples: Examples,
    validation: Examples,
    *,
    device: torch.device,
    progress: Callable[[Progress], None] | None = None,
    cache_bytes: int = 20_000_000_000,
    features: Path | None = None,
) -> FeatureCache | None:
    """Moves the network to the device, fills the cache of a frozen trunk's features, and fits what the
    towers learn in closed form. Returns the cache. `train` begins with it; a second call costs little."""
    network.to(device)
    network.backbone.visual.to(memory_format=torch.channels_last)
    cache = attach_feature_cache(network, folder=features, most_bytes=cache_bytes) if features else None
    if cache:
        cache.fill(*_pictures(preset, examples, validation), progress=_feature_progress(progress))
    fit_statistics(network, examples)
    fit_titles(network, examples)
    return cache


def _pictures(preset: Preset, examples: Examples, validation: Examples) -> list[np.ndarray]:
    return [examples.pictures, *([mirrored(examples.pictures)] if preset.augment else []), validation.pictures]


def _feature_progress(progress: Callable[[Progress], None] | None) -> Callable[[int, int], None] | None:
    return progress and (lambda done, chunks: progress(Progress("picture features", done, chunks)))
