"""One stage of Algorithm 1: which parts move, by which steps, and which checkpoint is handed on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.engines.features import classify, encode
from models.engines.interface import Features
from models.engines.machine import has_bf16
from models.engines.torch_engine import TorchEngine
from models.inputs.examples import Examples
from models.network.cma_clip import CmaClip
from models.training.distributed import average_statistics, processes, rank, sum_gradients, sum_of
from models.training.objective.objective import Objective
from models.training.optimizer import WeightAverage, Weights, _optimizer, _schedule
from models.training.presets import Preset, Stage
from models.training.saved.checkpoints import StageFile, StageState
from models.training.saved.tower_cache import FrozenOutputs, Outputs

_HIGHEST_LOGIT_SCALE = float(np.log(100))  # as CLIP was trained
_PAIRS = 5000  # each is held against every other


@dataclass(frozen=True)
class Progress:
    """Where training stands: `step` of `steps` in a stage; `accuracy` is the stage's best so far, if it has any."""

    stage: str
    step: int
    steps: int
    accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class StageRun:
    """Trains `network` in place by one stage. Whatever is random depends on (seed, stage, step, micro-batch) alone, so
    a run that goes on after a kill, or is shared among processes, takes the very same steps."""

    network: CmaClip
    preset: Preset
    stage: Stage
    examples: Examples
    validation: Examples
    folder: Path
    device: torch.device
    save_seconds: float
    cache_bytes: int
    progress: Callable[[Progress], None] | None = None

    def run(self) -> StageState:
        """Leaves the best checkpoint's weights in the network."""
        network, stage = self.network, self.stage
        _freeze_all_but(network, stage)
        network.backbone.title_dropout = stage.title_dropout
        moving = [parameter for parameter in network.parameters() if parameter.requires_grad]
        optimizer = _optimizer(network, self.preset, stage)
        file = StageFile(self.folder / f"{stage.name}.partial.safetensors", seconds=self.save_seconds)
        objective = Objective(
            network=network,
            preset=self.preset,
            stage=stage,
            examples=self.examples,
            device=self.device,
            frozen=self._frozen(),
        )
        validate = self._validation()
        if saved := file.load(optimizer):
            network.load_state_dict(saved[0])
            state = saved[1]
        else:
            score = validate()
            state = StageState(step=0, scores=[score], losses=[], best=_copy(network.state_dict()))
        average = WeightAverage(network, decay=self.preset.ema, weights=state.average) if self.preset.ema else None
        updates, chunks = self._batches()
        steps, batches = updates * stage.epochs, list[np.ndarray]()
        while state.step < steps:
            epoch, place = divmod(state.step, updates)
            if place == 0 or not batches:
                batches = self._order(epoch)
            rows = batches[place]
            _training_mode(network, stage)
            network.backbone.text.train(stage.title_dropout > 0 or "title_tower" in stage.parts)
            loss = self._backward(objective, state.step, rows, chunks)
            sum_gradients(moving)
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * _schedule(stage, state.step, steps)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if network.backbone.logit_scale.requires_grad:
                with torch.no_grad():
                    network.backbone.logit_scale.clamp_(max=_HIGHEST_LOGIT_SCALE)
            state.step += 1
            state.losses.append(loss)
            if average:
                average.update(network, state.step)
                state.average = average.weights
            if self.progress:
                self.progress(Progress(stage.name, state.step, steps, max(state.scores)))
            if state.step % updates == 0:
                average_statistics(network)
                with _weights_of(network, average):
                    state.scores.append(validate())
                    if state.scores[-1] >= max(state.scores[:-1]):
                        state.best = _copy(network.state_dict())
            if rank() == 0:
                file.save_now_and_then(network.state_dict(), optimizer, state)
        network.load_state_dict(state.best)
        return state

    def _backward(self, objective: Objective, step: int, rows: np.ndarray, chunks: int) -> float:
        """Gradients of one batch by this process's share of its micro-batches; returns the batch's loss."""
        counts = objective.counts(rows, chunks)
        total = torch.zeros((), device=self.device)
        for number, chunk in enumerate(np.array_split(rows, chunks)):
            if len(chunk) and number % processes() == rank():
                torch.manual_seed(self._seed(1, step, number))
                loss = objective(chunk, counts)
                loss.backward()
                total += loss.detach()
        return float(sum_of(total))

    def _batches(self) -> tuple[int, int]:
        """Steps an epoch, and micro-batches a step."""
        preset, count = self.preset, len(self.examples)
        chunks = max(-(-min(preset.batch, count) // preset.micro_batch), processes())
        return max(1, round(count / preset.batch)), chunks

    def _order(self, epoch: int) -> list[np.ndarray]:
        order = np.random.default_rng(self._seed(0, epoch)).permutation(len(self.examples))
        return np.array_split(order, self._batches()[0])

    def _seed(self, *place: int) -> int:
        stage = self.preset.stages.index(self.stage)
        return int(np.random.SeedSequence([self.preset.seed, stage, *place]).generate_state(1)[0])

    def _validation(self) -> Callable[[], float]:
        """Mean accuracy over the tasks: of the heads where they move, else of the probes."""
        network, stage, labels, present = self.network, self.stage, self.validation.labels, self.validation.present
        engine = TorchEngine(network)
        features = encode(engine, self.validation) if stage.moves_heads_only else None

        def validate() -> float:
            found = features or encode(engine, self.validation)
            predictions = classify(network, found, present)
            if "heads" in stage.parts:
                return mean_accuracy(predictions.logits, labels)
            if "probes" in stage.parts:
                sides = [predictions.image_logits] * stage.reads("image_tower")
                sides += [predictions.title_logits] * stage.reads("title_tower")
                return mean_accuracy([task for side in sides for task in side], np.tile(labels, len(sides)))
            return pairs_told_apart(found, present)

        return validate

    def _frozen(self) -> FrozenOutputs | None:
        if self.stage.moves_towers or self.preset.varies_listings(self.stage):
            return None
        network, examples, heads_only = self.network, self.examples, self.stage.moves_heads_only

        @torch.inference_mode()
        def compute(rows: np.ndarray) -> Outputs:
            network.eval()
            chunk = examples.take(rows)
            arrays = (chunk.pictures, chunk.tokens, chunk.present)
            pictures, tokens, present = (torch.from_numpy(array).to(self.device) for array in arrays)
            if heads_only:
                encoded = network.encode(pictures, tokens, present)
                return {"image_out": encoded.image_out, "title_out": encoded.title_out}
            with torch.autocast(self.device.type, torch.bfloat16, enabled=has_bf16(self.device)):
                image, title = network.backbone.images(pictures), network.backbone.titles(tokens)
            return {"image": image.sequence, "title": title.sequence, "end": title.end}

        return FrozenOutputs(
            network,
            examples,
            folder=self.folder / f"{self.stage.name}.outputs",
            parts=("backbone.", "sequence_attention.") if heads_only else ("backbone.",),
            most_bytes=self.cache_bytes if rank() == 0 else 0,
            compute=compute,
        )


def pairs_told_apart(features: Features, present: np.ndarray) -> float:
    """Of listings with both (at most 5,000): the share of the others' titles that a picture is less like than its own.
    Chance is ½."""
    both = np.flatnonzero(present.all(axis=1))[:_PAIRS]
    image, title = (part[both] / np.linalg.norm(part[both], axis=1, keepdims=True) for part in features[2:])
    similarity = image @ title.T
    own = np.diag(similarity)[:, None]
    others = max(len(own) * (len(own) - 1), 1)
    return float(((similarity < own).sum() + ((similarity == own).sum() - len(own)) / 2) / others)


def mean_accuracy(logits: list[Any], labels: np.ndarray) -> float:
    """Mean over the tasks that have labels of the share that the highest logit gets right."""
    shares = []
    for k, task in enumerate(logits):
        known = labels[:, k] >= 0
        if known.any():
            shares.append(float((task[known].argmax(1) == labels[known, k]).mean()))
    return float(np.mean(shares)) if shares else 0.0


def _parts(network: CmaClip) -> dict[str, list[nn.Module]]:
    return {
        "image_tower": [network.backbone.visual],
        "title_tower": [network.backbone.text],
        "probes": [network.image_probes, network.title_probes],
        "sequence_attention": [network.sequence_attention, network.matching],
        "modality_attention": [network.modality_attentions],
        "heads": [network.heads],
    }


def _freeze_all_but(network: CmaClip, stage: Stage) -> None:
    for part, modules in _parts(network).items():
        for module in modules:
            module.requires_grad_(part in stage.parts)
    network.backbone.logit_scale.requires_grad_(stage.moves_both_towers)


def _training_mode(network: CmaClip, stage: Stage) -> None:
    """Frozen parts stay in evaluation mode, so that no running statistic of theirs moves."""
    for part, modules in _parts(network).items():
        for module in modules:
            module.train(part in stage.parts)


@contextmanager
def _weights_of(network: CmaClip, average: WeightAverage | None) -> Iterator[None]:
    """The network with the averaged weights for a while."""
    if average is None:
        yield
        return
    own = _copy(network.state_dict())
    network.load_state_dict(average.weights)
    yield
    network.load_state_dict(own)


def _copy(state: dict[str, Tensor]) -> Weights:
    return {name: tensor.detach().clone() for name, tensor in state.items()}
