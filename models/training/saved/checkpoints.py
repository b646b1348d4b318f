"""A training that was killed goes on where it was last saved: weights, averages and optimizer state, in one file."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

from models.training.optimizer import Weights
from schemas.files import replacing


@dataclass
class StageState:
    """Where a stage stands after `step` steps. `best` are the weights of the best score; `average` the moving average,
    where there is one."""

    step: int
    scores: list[float]
    losses: list[float]
    best: Weights
    average: Weights = field(default_factory=dict)


def save(path: Path, tensors: Mapping[str, Tensor], note: Mapping[str, Any]) -> None:
    """Tensors and a JSON note, replaced as a whole."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path, sole_writer=True) as temporary:
        save_file(whole, temporary, metadata={"note": json.dumps(note)})


def load(path: Path) -> tuple[Weights, dict[str, Any]] | None:
    """What `save` wrote; None where there is nothing readable (then the work is done again)."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["note"])  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None


def load_required(path: Path) -> tuple[Weights, dict[str, Any]]:
    """What `save` wrote a moment ago; an `OSError` where it cannot be read again."""
    if (found := load(path)) is None:
        raise OSError(f"{path} was written and cannot be read again: is the disk failing?")
    return found


class StageFile:
    """`<stage>.partial.safetensors`: saved at most every `seconds`, and never for more than a twentieth of the time."""

    def __init__(self, path: Path, *, seconds: float) -> None:
        self._path, self._seconds = path, seconds
        self._next = time.monotonic() + seconds

    def save_if_due(self, network: Weights, optimizer: Optimizer, state: StageState) -> None:
        began = time.monotonic()
        if began < self._next:
            return
        tensors = {f"network.{name}": tensor for name, tensor in network.items()}
        tensors |= {f"best.{name}": tensor for name, tensor in state.best.items()}
        tensors |= {f"average.{name}": tensor for name, tensor in state.average.items()}
        for index, values in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in values.items()}
        save(self._path, _apart(tensors), {"step": state.step, "scores": state.scores, "losses": state.losses})
        ended = time.monotonic()
        self._next = ended + max(self._seconds, 19 * (ended - began))

    def load(self, optimizer: Optimizer) -> tuple[Weights, StageState] | None:
        """The network's weights and the state; the optimizer's own is put into it."""
        found = load(self._path)
        if found is None:
            return None
        parts: dict[str, Weights] = {"network": {}, "best": {}, "average": {}, "optimizer": {}}
        for name, tensor in found[0].items():
            part, rest = name.split(".", 1)
            parts[part][rest] = tensor
        whole = optimizer.state_dict()
        whole["state"] = {}
        moving = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for name, tensor in parts["optimizer"].items():
            index, key = name.split(".", 1)
            like = moving[int(index)]  # fused steps pair numbers by their place in memory, which a file does not keep
            value = torch.empty_like(like).copy_(tensor) if tensor.shape == like.shape else tensor
            whole["state"].setdefault(int(index), {})[key] = value
        optimizer.load_state_dict(whole)
        return parts["network"], StageState(**found[1], best=parts["best"], average=parts["average"])


def _apart(tensors: Weights) -> Weights:
    """safetensors refuses tensors that share memory; before the first step, best and network may."""
    return {name: tensor.clone() for name, tensor in tensors.items()}
