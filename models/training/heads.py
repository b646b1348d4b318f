"""Trains modality-wise attentions, heads and probes on stored features: no picture is decoded, no encoder runs."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from models.engines.encoded_listings import EncodedListings
from models.engines.features import classify
from models.network.cma_clip import CmaClip
from models.training.objective.losses import classification_loss
from models.training.objective.validation import mean_accuracy
from models.training.optimizer import build_optimizer, copy_weights, rate_factor
from models.training.parts import Part, Stage, freeze_other_parts, set_training_mode
from models.training.presets import Preset
from models.training.stage import Progress
from models.training.teacher.opinion_pool import HEAD_ALONE

_PARTS: tuple[Part, ...] = ("probes", "modality_attention", "heads")
_STEPS = 2000  # about as many; a small catalogue is seen more often than a large one
_EPOCHS = (10, 60)
_BATCH = 32
_RATE = 1e-3


def heads_preset(preset: Preset, listings: int) -> Preset:
    """The preset with one stage in place of its own: heads, modality-wise attentions and probes, for so many training
    listings."""
    epochs = int(np.clip(_STEPS * _BATCH // max(listings, 1), *_EPOCHS))
    stage = Stage(name="heads", parts=_PARTS, epochs=epochs, learning_rate=_RATE, schedule="one-cycle")
    return replace(preset, stages=(stage,), batch=_BATCH, micro_batch=_BATCH)


def train_heads(
    network: CmaClip,
    preset: Preset,
    examples: EncodedListings,
    validation: EncodedListings,
    *,
    progress: Callable[[Progress], None] | None = None,
) -> list[float]:
    """Trains in place by a `heads_preset`. Returns the validation accuracy before the first epoch and after each. The
    network gets the weights of the best; of equal ones, those of the latest."""
    (stage,) = preset.stages
    freeze_other_parts(network, stage)
    network.pool.copy_(HEAD_ALONE)  # the heads are chosen by themselves
    optimizer = build_optimizer(network, preset, stage)
    arrays = {name: torch.from_numpy(array) for name, array in examples.arrays().items() if array.dtype.kind in "fib"}
    updates = max(1, round(len(examples) / preset.batch))
    steps, step = updates * stage.epochs, 0
    scores, best = [_score(network, validation)], copy_weights(network)
    torch.manual_seed(preset.seed)
    for epoch in range(stage.epochs):
        set_training_mode(network, stage)
        order = np.random.default_rng((preset.seed, epoch)).permutation(len(examples))
        for rows in np.array_split(order, updates):
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * rate_factor(stage, step, steps)
            _loss(network, preset, {name: array[torch.from_numpy(rows)] for name, array in arrays.items()}).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
        scores.append(_score(network, validation))
        if scores[-1] >= max(scores[:-1]):
            best = copy_weights(network)
        if progress:
            progress(Progress(stage.name, step, steps, max(scores)))
    network.load_state_dict(best)
    network.requires_grad_(True).eval()
    return scores


def _loss(network: CmaClip, preset: Preset, batch: dict[str, Tensor]) -> Tensor:
    """The loss of the heads, and of the probes of the modalities that a listing has."""
    labels, present = batch["labels"], batch["present"]
    by_head = network.classify(batch["image_out"], batch["title_out"], present).logits
    by_probes = network.probe(batch["image_embedding"], batch["title_embedding"])
    known = [labels, *(labels.masked_fill(~seen[:, None], -1) for seen in present.T)]
    return torch.stack(
        [
            classification_loss(logits, of, (of >= 0).sum(0).float(), smoothing=preset.label_smoothing)
            for logits, of in zip((by_head, *by_probes), known, strict=True)
        ]
    ).sum()


def _score(network: CmaClip, validation: EncodedListings) -> float:
    return mean_accuracy(classify(network, validation.features, validation.present).logits, validation.labels)
