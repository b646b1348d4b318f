"""Trains one variant of an ablation from the towers that all variants share."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from models.engines.features import classify, encode
from models.engines.interface import Predictions
from models.engines.torch_engine import TorchEngine
from models.experiments.variants import VARIANTS, Variant, variant_of
from models.experiments.zero_shot import ZeroShot
from models.inputs.examples import Examples
from models.inputs.preprocessing import Processor
from models.network.cma_clip import CmaClip
from models.training.parts import Stage
from models.training.presets import Preset
from models.training.saved.checkpoints import load
from models.training.teacher.classical import ClassicalBaseline
from models.training.teacher.opinion_pool import HEAD_ALONE
from models.training.teacher.soft_targets import with_soft_targets
from models.training.teacher.stored_features import PictureFeatures
from models.training.train import Progress, prepare_towers, train
from schemas.errors import UserError
from schemas.taxonomy import Taxonomy

_TOWER_PREFIXES = ("backbone.", "image_probes.", "title_probes.")


class Answers(NamedTuple):
    """Predictions for N listings: per attribute the logits of its values; λ, NaN for variants without one. A network's
    `logits` are those of its heads alone, and `pooled` its predictions with the pool of heads and probes."""

    logits: list[Float[np.ndarray, "N _"]]
    image_weight: Float[np.ndarray, "N K"]
    pooled: Predictions | None = None


Predictor = Callable[[Examples], Answers]


@dataclass(frozen=True, kw_only=True)
class TrainingInputs:
    """The listings that every variant is trained on, and the preset."""

    preset: Preset
    taxonomy: Taxonomy
    train: Examples
    validation: Examples
    device: torch.device
    progress: Callable[[Progress], None] | None = None
    features: Path | None = None  # the folder of the cache of pictures' features
    cache_bytes: int = 20_000_000_000

    @property
    def hand_made(self) -> PictureFeatures:
        return PictureFeatures(self.features, most_bytes=self.cache_bytes)


def tower_stages(preset: Preset) -> tuple[Stage, ...]:
    """The stages that move no head: they train the towers of a preset that starts from random weights."""
    return tuple(stage for stage in preset.stages if stage.epochs and "heads" not in stage.parts)


def make_towers(inputs: TrainingInputs, folder: Path) -> None:
    """Trains the towers, once for all variants, unless the preset's are pretrained."""
    stages = tower_stages(inputs.preset)
    if stages and load(folder / f"{stages[-1].name}.safetensors") is None:
        inputs = _with_soft_targets(inputs, folder)
        _train(_network(inputs, VARIANTS["full"], None), inputs, stages, folder)


def train_variant(name: str, inputs: TrainingInputs, *, towers: Path, folder: Path) -> Predictor:
    """Trains one variant, but late fusion, from the towers in `towers`, with checkpoints in `folder`."""
    variant = variant_of(name)
    preset = replace(inputs.preset, **variant.options)
    inputs = replace(inputs, preset=preset)
    if variant.kind == "classical":
        baseline = ClassicalBaseline(inputs.taxonomy.class_counts, seed=preset.seed, features=inputs.hand_made)
        return _without_weights(baseline.fit(inputs.train, inputs.validation).logits)
    network = _network(inputs, variant, towers)
    if variant.kind == "contrastive":
        pairs = replace(inputs, train=with_both(inputs.train), validation=with_both(inputs.validation))
        pairs = replace(pairs, preset=contrastive_preset(preset))
        _train(network, pairs, pairs.preset.stages, folder)
    if variant.kind in ("zero-shot", "contrastive"):
        return _without_weights(
            ZeroShot(network, inputs.taxonomy, Processor.of(preset.architecture.backbone, network.backbone)).logits
        )
    inputs = _with_soft_targets(inputs, towers)
    seen = replace(inputs, train=masked(inputs.train, variant), validation=masked(inputs.validation, variant))
    stages = tuple(stage for stage in preset.stages if stage not in tower_stages(preset))
    prepare_towers(  # on both pictures and titles, so that all variants start from the same towers
        network,
        preset,
        inputs.train,
        inputs.validation,
        device=inputs.device,
        progress=inputs.progress,
        features=inputs.features,
        cache_bytes=inputs.cache_bytes,
    )
    _train(network, seen, stages, folder)
    engine = TorchEngine(network)

    pool = network.pool.clone()

    def model(examples: Examples) -> Answers:
        examples = masked(examples, variant)
        features = encode(engine, examples)
        network.pool.copy_(pool)
        pooled = classify(network, features, examples.present)
        network.pool.copy_(HEAD_ALONE)
        alone = classify(network, features, examples.present)
        weight = alone.image_weight
        return Answers(alone.logits, weight if variant.weighs_modalities else np.full_like(weight, np.nan), pooled)

    return model


def contrastive_preset(preset: Preset) -> Preset:
    """One stage that trains both towers by CLIP's loss only, with the epochs of all stages after the towers and the
    learning rate of the end-to-end one."""
    stages = [stage for stage in preset.stages if stage not in tower_stages(preset)]
    end_to_end = next(stage for stage in stages if stage.moves_both_towers)
    epochs = sum(stage.epochs for stage in stages)
    stage = replace(end_to_end, name="contrastive", parts=("image_tower", "title_tower"), epochs=epochs)
    return replace(preset, stages=(stage,), contrastive_weight=1.0)


def masked(examples: Examples, variant: Variant) -> Examples:
    """The listings with the modalities that a variant sees; those without any of them are left out."""
    present = examples.present & np.array(variant.looks_at)
    return replace(examples, present=present).take(present.any(axis=1))


def with_both(examples: Examples) -> Examples:
    """The listings that have a picture and a title."""
    return examples.take(np.logical_and(*examples.present.T))


def _network(inputs: TrainingInputs, variant: Variant, towers: Path | None) -> CmaClip:
    preset = inputs.preset
    architecture = replace(
        preset.architecture,
        sequence_attention=variant.sequence_attention,
        modality_attention=variant.modality_attention,
    )
    network = replace(preset, architecture=architecture).build(inputs.taxonomy, load_pretrained=True)
    if towers and (stages := tower_stages(preset)):
        found = load(towers / f"{stages[-1].name}.safetensors")
        if found is None:
            raise UserError(f"{towers} holds no towers that can be read: remove the folder, and run this again")
        weights = {name: tensor for name, tensor in found[0].items() if name.startswith(_TOWER_PREFIXES)}
        network.load_state_dict(weights, strict=False)  # all other weights stay random
    return network.to(inputs.device)


def _train(network: CmaClip, inputs: TrainingInputs, stages: tuple[Stage, ...], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    train(
        network,
        replace(inputs.preset, stages=stages, pools_probes=True),  # the heads alone are measured, too
        inputs.train,
        inputs.validation,
        folder=folder,
        device=inputs.device,
        progress=inputs.progress,
        features=inputs.features,
        cache_bytes=inputs.cache_bytes,
    )


def _with_soft_targets(inputs: TrainingInputs, towers: Path) -> TrainingInputs:
    """The inputs with soft targets, which are computed once for all variants."""
    classes = inputs.taxonomy.class_counts
    file = towers / "soft_targets.safetensors"
    train = with_soft_targets(inputs.train, classes, inputs.preset, file, inputs.progress, inputs.hand_made)
    return replace(inputs, train=train)


def _without_weights(logits: Callable[[Examples], list[Float[np.ndarray, "N _"]]]) -> Predictor:
    def model(examples: Examples) -> Answers:
        return Answers(logits(examples), np.full(examples.labels.shape, np.nan, dtype=np.float32))

    return model
