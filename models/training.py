"""Algorithm 1: stage after stage, each starting from the best checkpoint of the one before."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int64
from safetensors.torch import save_file
from torch import Tensor, nn

from models.augmentation import augment, drop_modalities, drop_tokens
from models.cma_clip import CmaClip
from models.engines import Features
from models.engines.torch_engine import TorchEngine
from models.examples import Examples
from models.features import classify, encode
from models.losses import classification_loss, contrastive_loss
from models.presets import Preset, Stage

_HIGHEST_LOGIT_SCALE = float(np.log(100))  # as CLIP was trained


@dataclass(frozen=True)
class Progress:
    """Where training stands: `step` of `steps` in a stage; `accuracy` is the best of the stage so far."""

    stage: str
    step: int
    steps: int
    accuracy: float


@dataclass
class History:
    """Per stage, the validation accuracy (mean over tasks) before it and after each epoch."""

    accuracy: dict[str, list[float]] = field(default_factory=dict)


def train(
    network: CmaClip,
    preset: Preset,
    examples: Examples,
    validation: Examples,
    *,
    folder: Path,
    device: torch.device,
    progress: Callable[[Progress], None] | None = None,
) -> History:
    """Trains in place. Each stage's best checkpoint is kept as `<folder>/<stage>.safetensors`."""
    torch.manual_seed(preset.seed)
    network.to(device)
    network.backbone.visual.to(memory_format=torch.channels_last)
    history = History()
    for stage in preset.stages:
        if stage.epochs:
            history.accuracy[stage.name] = _run_stage(
                network, preset, stage, examples, validation, device=device, progress=progress
            )
            save_file(_contiguous(network.state_dict()), folder / f"{stage.name}.safetensors")
    return history


def _run_stage(
    network: CmaClip,
    preset: Preset,
    stage: Stage,
    examples: Examples,
    validation: Examples,
    *,
    device: torch.device,
    progress: Callable[[Progress], None] | None,
) -> list[float]:
    _freeze_all_but(network, stage)
    heads_only = not {"backbone", "sequence_attention"} & set(stage.parts)
    engine = TorchEngine(network)
    cached = encode(engine, examples) if heads_only else None  # I′ and T′ cannot change any more
    cached_validation = encode(engine, validation) if heads_only else None

    def validate() -> float:
        features = cached_validation or encode(engine, validation)
        predictions = classify(network, features, validation.present)
        if "heads" in stage.parts:
            return mean_accuracy(predictions.logits, validation.labels)
        return mean_accuracy([*predictions.image_logits, *predictions.title_logits], np.tile(validation.labels, 2))

    accumulate = -(-min(preset.batch, len(examples)) // preset.micro_batch)
    updates = max(1, round(len(examples) / preset.batch)) if accumulate > 1 else -(-len(examples) // preset.micro_batch)
    steps = updates * stage.epochs
    optimizer = _optimizer(network, preset, stage)
    schedule = (
        torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in optimizer.param_groups],
            total_steps=steps,
            pct_start=0.15,
            cycle_momentum=False,
        )
        if stage.schedule == "one-cycle"
        else None
    )
    scores = [validate()]
    best, best_state = scores[0], _copy(network.state_dict())
    generator = np.random.default_rng(preset.seed)
    step = 0
    for _ in range(stage.epochs):
        _training_mode(network, stage)
        chunks = _chunks(generator.permutation(len(examples)), updates * accumulate)
        for position, rows in enumerate(chunks, start=1):
            loss = _loss(network, preset, stage, examples, rows, cached, device) / accumulate
            loss.backward()
            if position % accumulate == 0:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                if schedule:
                    schedule.step()
                if "backbone" in stage.parts:
                    with torch.no_grad():
                        network.backbone.logit_scale.clamp_(max=_HIGHEST_LOGIT_SCALE)
                step += 1
                if progress:
                    progress(Progress(stage.name, step, steps, best))
        scores.append(validate())
        if scores[-1] >= best:
            best, best_state = scores[-1], _copy(network.state_dict())
    network.load_state_dict(best_state)
    return scores


def _loss(
    network: CmaClip,
    preset: Preset,
    stage: Stage,
    examples: Examples,
    rows: np.ndarray,
    cached: Features | None,
    device: torch.device,
) -> Tensor:
    present = torch.from_numpy(examples.present[rows]).to(device)
    labels = torch.from_numpy(examples.labels[rows]).to(device)
    if cached is not None:
        image_out, title_out = (torch.from_numpy(part[rows]).to(device) for part in cached[:2])
        logits = network.classify(image_out, title_out, present).logits
        return classification_loss(logits, labels, smoothing=preset.label_smoothing)
    chunk = examples.take(rows)
    pictures, tokens = torch.from_numpy(chunk.pictures).to(device), torch.from_numpy(chunk.tokens).to(device)
    pictures = pictures[_stand_ins(present[:, 0])]
    if preset.augment:
        pictures = augment(pictures)
    tokens = drop_tokens(tokens, preset.token_dropout)
    shown = drop_modalities(present, preset.modality_dropout)
    loss = torch.zeros((), device=device)
    with torch.autocast(device.type, torch.bfloat16, enabled=has_bf16(device)):
        image, title = network.backbone.images(pictures), network.backbone.titles(tokens)
        if "heads" in stage.parts:
            encoded = network.attend(image, title, shown)
            logits = network.classify(encoded.image_out, encoded.title_out, shown).logits
            loss = loss + classification_loss(logits, labels, smoothing=preset.label_smoothing)
        towers = image.embedding, title.embedding
        if not preset.probes_train_towers:
            towers = towers[0].detach(), towers[1].detach()
        for probe, has in zip(network.probe(*towers), present.T, strict=True):
            known = labels.masked_fill(~has[:, None], -1)
            loss = loss + classification_loss(probe, known, smoothing=preset.label_smoothing)
    if preset.contrastive_weight and "backbone" in stage.parts:
        both = present.all(dim=1)
        scale = network.backbone.logit_scale.exp()
        alike = contrastive_loss(image.embedding[both], title.embedding[both], scale)
        loss = loss + preset.contrastive_weight * alike
    return loss


def _stand_ins(has_picture: Bool[Tensor, " B"]) -> Int64[Tensor, " B"]:
    """The row whose picture each row shows: its own, or another's where it has none. It is masked all the same; but
    batch normalisation sees every picture of a batch, and blank ones would shift its statistics."""
    rows = torch.arange(len(has_picture), device=has_picture.device)
    if has_picture.any():
        missing = ~has_picture
        rows[missing] = rows[has_picture][rows[: int(missing.sum())] % int(has_picture.sum())]
    return rows


def mean_accuracy(logits: list[Any], labels: np.ndarray) -> float:
    """Mean over the tasks that have labels of the share that the highest logit gets right."""
    shares = []
    for k, task in enumerate(logits):
        known = labels[:, k] >= 0
        if known.any():
            shares.append(float((task[known].argmax(1) == labels[known, k]).mean()))
    return float(np.mean(shares)) if shares else 0.0


def has_bf16(device: torch.device) -> bool:
    """Whether bf16 products are faster than float32 ones here."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _parts(network: CmaClip) -> dict[str, list[nn.Module]]:
    return {
        "backbone": [network.backbone],
        "probes": [network.image_probes, network.title_probes],
        "sequence_attention": [network.sequence_attention],
        "modality_attention": [network.modality_attentions],
        "heads": [network.heads],
    }


def _freeze_all_but(network: CmaClip, stage: Stage) -> None:
    for part, modules in _parts(network).items():
        for module in modules:
            module.requires_grad_(part in stage.parts)


def _training_mode(network: CmaClip, stage: Stage) -> None:
    """Frozen parts stay in evaluation mode, so that no running statistic of theirs moves."""
    for part, modules in _parts(network).items():
        for module in modules:
            module.train(part in stage.parts)


def _optimizer(network: CmaClip, preset: Preset, stage: Stage) -> torch.optim.Optimizer:
    moving = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if preset.optimizer == "adam":
        return torch.optim.Adam(moving, lr=stage.learning_rate, weight_decay=preset.weight_decay, fused=True)
    groups = [
        {"params": [p for p in moving if p.ndim >= 2], "weight_decay": preset.weight_decay},
        {"params": [p for p in moving if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=stage.learning_rate, fused=True)


def _chunks(order: np.ndarray, count: int) -> Iterator[np.ndarray]:
    yield from (part for part in np.array_split(order, count) if len(part))


def _copy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in state.items()}


def _contiguous(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
