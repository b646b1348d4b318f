"""What an ablation compares: CMA-CLIP without some of its parts, trained alike from the same towers, and baselines."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from models.engines.features import classify, encode
from models.engines.torch_engine import TorchEngine
from models.experiments.zero_shot import ZeroShot
from models.inputs.examples import Examples
from models.inputs.preprocessing import Processor
from models.network.cma_clip import CmaClip
from models.training.presets import Preset, Stage
from models.training.saved.checkpoints import load
from models.training.teacher.classical import ClassicalBaseline
from models.training.teacher.soft_targets import with_soft_targets
from models.training.train import Progress, train
from schemas.errors import UserError
from schemas.taxonomy import Taxonomy

_OF_TOWERS = ("backbone.", "image_probes.", "title_probes.")


class Answers(NamedTuple):
    """Of N listings: per attribute the logits of its values; and λ, NaN where a variant does not weigh modalities."""

    logits: list[Float[np.ndarray, "N C"]]
    image_weight: Float[np.ndarray, "N K"]


Model = Callable[[Examples], Answers]


@dataclass(frozen=True)
class Variant:
    """`looks_at` picture and title: what is false is masked, in training and in the test. `options` are those of the
    preset that have other values after the towers."""

    label: str
    kind: Literal["network", "zero-shot", "contrastive", "classical", "late fusion"] = "network"
    looks_at: tuple[bool, bool] = (True, True)
    sequence_attention: bool = True
    modality_attention: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def weighs_modalities(self) -> bool:
        return self.kind == "network" and self.modality_attention and all(self.looks_at)


VARIANTS = {
    "classical": Variant("colours, edges and TF-IDF (no network)", "classical"),
    "zero-shot": Variant("CLIP, zero-shot", "zero-shot"),
    "contrastive": Variant("CLIP, fine-tuned contrastively", "contrastive"),
    "title-only": Variant("title only", looks_at=(False, True)),
    "picture-only": Variant("picture only", looks_at=(True, False)),
    "late-fusion": Variant("late fusion of title only and picture only", "late fusion"),
    "without-ma-sa": Variant("without MA and SA", sequence_attention=False, modality_attention=False),
    "without-ma": Variant("without MA", modality_attention=False),
    "full": Variant("CMA-CLIP", "network"),
}
FUSED = ("title-only", "picture-only")
OPTIONS = tuple(option.name for option in fields(Preset) if option.type in (float, bool))


def variant_of(name: str) -> Variant:
    """One of `VARIANTS`; or a network with options of its preset changed, as `without-ma+ema=0`, or `swapped=0+ema=0`
    for the full one. `KeyError` where it is neither."""
    if name in VARIANTS:
        return VARIANTS[name]
    first, *rest = name.split("+")
    base, changes = (VARIANTS["full"], [first, *rest]) if "=" in first else (VARIANTS[first], rest)
    values = dict(change.partition("=")[::2] for change in changes)
    if base.kind != "network" or not all(
        option in OPTIONS and re.fullmatch(r"\d+(\.\d+)?", value) for option, value in values.items()
    ):
        raise KeyError(name)
    said = ", ".join(f"{option} {value}" for option, value in values.items())
    return replace(base, label=f"{base.label}, {said}", options={of: float(value) for of, value in values.items()})


def held_against(name: str) -> str:
    """The full network, under the options of a variant that lacks a part: `ema=0` for `without-ma+ema=0`."""
    options = "+".join(change for change in name.split("+") if "=" in change)
    return options if options and options != name else "full"


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What every variant learns from, and by which preset."""

    preset: Preset
    taxonomy: Taxonomy
    train: Examples
    validation: Examples
    device: torch.device
    progress: Callable[[Progress], None] | None = None


def tower_stages(preset: Preset) -> tuple[Stage, ...]:
    """The stages that make the towers, where a preset starts from random weights: those that move no head."""
    return tuple(stage for stage in preset.stages if stage.epochs and "heads" not in stage.parts)


def make_towers(lesson: Lesson, folder: Path) -> None:
    """Runs the stages that make the towers, once for all variants; nothing to do where the weights are pretrained."""
    stages = tower_stages(lesson.preset)
    if stages and load(folder / f"{stages[-1].name}.safetensors") is None:
        lesson = _taught(lesson, folder)
        _train(_network(lesson, VARIANTS["full"], None), lesson, lesson.preset, stages, folder)


def teach(name: str, lesson: Lesson, *, towers: Path, folder: Path) -> Model:
    """Makes one variant from the towers in `towers`; `folder` keeps its checkpoints. Not for late fusion, which learns
    nothing of its own."""
    variant = variant_of(name)
    preset = replace(lesson.preset, **variant.options)
    lesson = replace(lesson, preset=preset)
    if variant.kind == "classical":
        classes = [len(attribute.value_names) for attribute in lesson.taxonomy.attributes]
        baseline = ClassicalBaseline(classes, seed=preset.seed).fit(lesson.train, lesson.validation)
        return _without_weights(baseline.logits)
    network = _network(lesson, variant, towers)
    if variant.kind == "contrastive":
        pairs = replace(lesson, train=with_both(lesson.train), validation=with_both(lesson.validation))
        contrastive = contrastive_preset(preset)
        _train(network, pairs, contrastive, contrastive.stages, folder)
    if variant.kind in ("zero-shot", "contrastive"):
        return _without_weights(
            ZeroShot(network, lesson.taxonomy, Processor.of(preset.architecture.backbone, network.backbone)).logits
        )
    lesson = _taught(lesson, towers)
    seen = replace(lesson, train=masked(lesson.train, variant), validation=masked(lesson.validation, variant))
    stages = tuple(stage for stage in preset.stages if stage not in tower_stages(preset))
    _train(network, seen, preset, stages, folder)
    engine = TorchEngine(network)

    def model(examples: Examples) -> Answers:
        examples = masked(examples, variant)
        predictions = classify(network, encode(engine, examples), examples.present)
        weight = predictions.image_weight
        return Answers(predictions.logits, weight if variant.weighs_modalities else np.full_like(weight, np.nan))

    return model


def contrastive_preset(preset: Preset) -> Preset:
    """CLIP's loss alone moves the towers, for as many epochs as the other variants are trained after the towers, at the
    learning rate at which those train the towers."""
    stages = [stage for stage in preset.stages if stage not in tower_stages(preset)]
    end_to_end = next(stage for stage in stages if stage.moves_both_towers)
    epochs = sum(stage.epochs for stage in stages)
    stage = replace(end_to_end, name="contrastive", parts=("image_tower", "title_tower"), epochs=epochs)
    return replace(preset, stages=(stage,), contrastive_weight=1.0)


def masked(examples: Examples, variant: Variant) -> Examples:
    """Listings as a variant sees them; those of which it sees nothing are left out."""
    present = examples.present & np.array(variant.looks_at)
    return replace(examples, present=present).take(present.any(axis=1))


def with_both(examples: Examples) -> Examples:
    """The listings that have a picture and a title."""
    return examples.take(np.logical_and(*examples.present.T))


def _network(lesson: Lesson, variant: Variant, towers: Path | None) -> CmaClip:
    preset = lesson.preset
    architecture = replace(
        preset.architecture,
        sequence_attention=variant.sequence_attention,
        modality_attention=variant.modality_attention,
    )
    network = replace(preset, architecture=architecture).build(lesson.taxonomy, load_pretrained=True)
    if towers and (stages := tower_stages(preset)):
        found = load(towers / f"{stages[-1].name}.safetensors")
        if found is None:
            raise UserError(f"{towers} holds no towers that can be read: remove the folder, and run this again")
        weights = {name: tensor for name, tensor in found[0].items() if name.startswith(_OF_TOWERS)}
        network.load_state_dict(weights, strict=False)  # the rest stays as it was drawn
    return network.to(lesson.device)


def _train(network: CmaClip, lesson: Lesson, preset: Preset, stages: tuple[Stage, ...], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    train(
        network,
        replace(preset, stages=stages),
        lesson.train,
        lesson.validation,
        folder=folder,
        device=lesson.device,
        progress=lesson.progress,
    )


def _taught(lesson: Lesson, towers: Path) -> Lesson:
    """All variants have the same teacher, who is asked once."""
    classes = [len(attribute.value_names) for attribute in lesson.taxonomy.attributes]
    file = towers / "soft_targets.safetensors"
    return replace(lesson, train=with_soft_targets(lesson.train, classes, lesson.preset, file, lesson.progress))


def _without_weights(logits: Callable[[Examples], list[Float[np.ndarray, "N C"]]]) -> Model:
    def model(examples: Examples) -> Answers:
        return Answers(logits(examples), np.full(examples.labels.shape, np.nan, dtype=np.float32))

    return model
