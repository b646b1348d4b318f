"""One stage of Algorithm 1: its optimizer steps, and the choice of its best checkpoint."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from models.engines.machine import has_bf16
from models.inputs.examples import Examples
from models.network.cma_clip import CmaClip
from models.training.distributed import average_statistics, processes, rank, sum_gradients, sum_over_processes
from models.training.objective.objective import Objective
from models.training.objective.validation import Validation
from models.training.optimizer import WeightAverage, build_optimizer, copy_weights, rate_factor
from models.training.parts import Stage, freeze_other_parts, set_training_mode
from models.training.presets import Preset
from models.training.saved.checkpoints import StageFile, StageState
from models.training.saved.tower_cache import FrozenOutputs, Outputs

_HIGHEST_LOGIT_SCALE = float(np.log(100))  # as CLIP was trained


@dataclass(frozen=True)
class Progress:
    """Step `step` of a stage's `steps` is done; `accuracy` is the best validation score so far, if any."""

    stage: str
    step: int
    steps: int
    accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class StageRun:
    """Trains `network` in place for one stage.

    Each random draw is seeded by (seed, stage, step, micro-batch), so that a resumed run and one shared among processes
    take the same steps as an uninterrupted one (decision 6).
    """

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
        """Runs the stage, resuming from its partial checkpoint if there is one. Returns scores and losses. The network
        gets the weights of the best score; of equal scores, those of the later."""
        network, stage = self.network, self.stage
        freeze_other_parts(network, stage)
        network.backbone.title_dropout = stage.title_dropout
        moving = [parameter for parameter in network.parameters() if parameter.requires_grad]
        optimizer = build_optimizer(network, self.preset, stage)
        file = StageFile(self.folder / f"{stage.name}.partial.safetensors", seconds=self.save_seconds)
        objective = Objective(
            network=network,
            preset=self.preset,
            stage=stage,
            examples=self.examples,
            device=self.device,
            frozen=self._frozen(),
        )
        validation = Validation(network, stage, self.validation)
        if saved := file.load(optimizer):
            network.load_state_dict(saved[0])
            state = saved[1]
        else:
            state = StageState(step=0, scores=[validation.score(network)], losses=[], best=copy_weights(network))
        average = WeightAverage(network, decay=self.preset.ema, weights=state.average) if self.preset.ema else None
        updates, chunks = self._batches()
        steps, batches = updates * stage.passes(updates), list[np.ndarray]()
        while state.step < steps:
            epoch, place = divmod(state.step, updates)
            if place == 0 or not batches:
                batches = self._order(epoch)
            rows = batches[place]
            set_training_mode(network, stage)
            loss = self._backward(objective, state.step, rows, chunks)
            sum_gradients(moving)
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * rate_factor(stage, state.step, steps)
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
                average_statistics(network, state.average)
                with average.applied(network) if average else nullcontext():
                    state.scores.append(validation.score(network))
                    if state.scores[-1] >= max(state.scores[:-1]):
                        state.best = copy_weights(network)
            if rank() == 0:
                file.save_if_due(network.state_dict(), optimizer, state)
        network.load_state_dict(state.best)
        return state

    def _backward(self, objective: Objective, step: int, rows: np.ndarray, chunks: int) -> float:
        """Accumulates the gradients of this process's micro-batches of a batch; returns the loss of the whole batch."""
        counts = objective.counts(rows, chunks)
        total = torch.zeros((), device=self.device)
        for number, chunk in enumerate(np.array_split(rows, chunks)):
            if len(chunk) and number % processes() == rank():
                torch.manual_seed(self._seed(1, step, number))
                loss = objective(chunk, counts)
                loss.backward()
                total += loss.detach()
        return float(sum_over_processes(total))

    def _batches(self) -> tuple[int, int]:
        """Steps per epoch, and micro-batches per step."""
        preset, count = self.preset, len(self.examples)
        chunks = max(-(-min(preset.batch, count) // preset.micro_batch), processes())
        return max(1, round(count / preset.batch)), chunks

    def _order(self, epoch: int) -> list[np.ndarray]:
        """The listings of each batch of an epoch, shuffled."""
        order = np.random.default_rng(self._seed(0, epoch)).permutation(len(self.examples))
        return np.array_split(order, self._batches()[0])

    def _seed(self, *place: int) -> int:
        stage = self.preset.stages.index(self.stage)
        return int(np.random.SeedSequence([self.preset.seed, stage, *place]).generate_state(1)[0])

    def _frozen(self) -> FrozenOutputs | None:
        """The cached outputs of the parts that this stage freezes; None if they differ from epoch to epoch."""
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
