"""An exponential moving average of the weights: what is validated and kept, where a preset asks for one."""

import math

import torch
from torch import Tensor, nn

from models.network.cma_clip import CmaClip
from models.training.presets import Preset, Stage

_RISE = 0.15  # of a one-cycle stage's steps

Weights = dict[str, Tensor]


class WeightAverage:
    """`decay` is reached slowly, so that the random weights of the start are soon forgotten."""

    def __init__(self, network: nn.Module, *, decay: float, weights: Weights | None = None) -> None:
        self._decay = decay
        current = network.state_dict()
        given = weights or {name: tensor.detach().clone() for name, tensor in current.items()}
        self.weights = {name: given[name].to(tensor.device) for name, tensor in current.items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """After `step` (from 1) optimizer steps. Counters of batch normalisation are copied."""
        decay = min(self._decay, step / (step + 9))
        averaged, current = [], []
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                averaged.append(self.weights[name])
                current.append(tensor)
            else:
                self.weights[name].copy_(tensor)
        torch._foreach_lerp_(averaged, current, 1 - decay)


def _schedule(stage: Stage, step: int, steps: int) -> float:
    """The share of the stage's learning rate at a step: 1, or one cycle (Smith and Topin 2018), cosine up and down."""
    if stage.schedule == "constant":
        return 1.0
    rise = _RISE * steps
    if step < rise:
        return 0.52 - 0.48 * math.cos(math.pi * step / rise)
    return 0.5 + 0.5 * math.cos(math.pi * (step - rise) / (steps - rise))


def _optimizer(network: CmaClip, preset: Preset, stage: Stage) -> torch.optim.Optimizer:
    """Groups carry their peak learning rate; with AdamW, norms and biases do not decay."""
    text = stage.learning_rate * preset.text_rate
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            rate = text if name.startswith(("backbone.text.", "title_probes.")) else stage.learning_rate
            decays = preset.optimizer == "adam" or parameter.ndim >= 2
            groups.setdefault((rate, preset.weight_decay if decays else 0.0), []).append(parameter)
    listed = [
        {"params": members, "lr": rate, "peak": rate, "weight_decay": decay}
        for (rate, decay), members in groups.items()
    ]
    return (torch.optim.Adam if preset.optimizer == "adam" else torch.optim.AdamW)(listed, fused=True)
