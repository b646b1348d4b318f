"""Checkpoints: safetensors files with a JSON note. From a stage's partial one a killed training resumes."""

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
    """The state of a stage after `step` steps. `best` are the weights of the best score; `average` is the moving
    average of the weights, empty without one."""

    step: int
    scores: list[float]
    losses: list[float]
    best: Weights
    average: Weights = field(default_factory=dict)


def save(path: Path, tensors: Mapping[str, Tensor], note: Mapping[str, Any]) -> None:
    """Writes tensors and a JSON note as safetensors, whole or not at all."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path, sole_writer=True) as temporary:
        save_file(whole, temporary, metadata={"note": json.dumps(note)})


def load(path: Path) -> tuple[Weights, dict[str, Any]] | None:
    """The tensors and the note that `save` wrote; None if the file is missing or damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["note"])  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None


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
        # Before the first step, best and network may share memory, which safetensors refuses: each is copied.
        tensors = {name: tensor.clone() for name, tensor in tensors.items()}
        save(self._path, tensors, {"step": state.step, "scores": state.scores, "losses": state.losses})
        ended = time.monotonic()
        self._next = ended + max(self._seconds, 19 * (ended - began))

    def load(self, optimizer: Optimizer) -> tuple[Weights, StageState] | None:
        """The network's weights and the stage's state; puts the optimizer's into it. None without a checkpoint."""
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
