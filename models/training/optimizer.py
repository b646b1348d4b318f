"""The optimizer of a stage, its learning rate at each step, and the moving average of the weights."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from models.network.cma_clip import CmaClip
from models.training.parts import Stage
from models.training.presets import Preset

_RISE = 0.15  # share of a one-cycle stage's steps in which the rate rises

Weights = dict[str, Tensor]


def copy_weights(network: nn.Module) -> Weights:
    """A copy of the network's weights and buffers by name."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


class WeightAverage:
    """Exponential moving average of a network's weights and of batch normalisation's statistics, as `weights`.

    Starts from `weights`, or from the network's own if there are none. torch's `AveragedModel` averages either no
    buffer or every one, CLIP's causal mask included, of which −∞ − (−∞) makes NaN.
    """

    def __init__(self, network: nn.Module, *, decay: float, weights: Weights) -> None:
        self._decay = decay
        start = weights or copy_weights(network)
        self.weights = {name: start[name].to(tensor.device) for name, tensor in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Adds the weights after optimizer step `step` (from 1); integers (batch counters) are copied. The decay rises
        with the steps n as n / (n + 9) to its full value, so that the random weights of the start lose their share."""
        current = network.state_dict()
        floats = [name for name, tensor in current.items() if tensor.is_floating_point()]
        for name in current.keys() - floats:
            self.weights[name].copy_(current[name])
        averaged, new = ([weights[name] for name in floats] for weights in (self.weights, current))
        torch._foreach_lerp_(averaged, new, 1 - min(self._decay, step / (step + 9)))

    @contextmanager
    def applied(self, network: nn.Module) -> Iterator[None]:
        """The network has the averaged weights inside the block, and its own after it."""
        own = copy_weights(network)
        network.load_state_dict(self.weights)
        yield
        network.load_state_dict(own)


def rate_factor(stage: Stage, step: int, steps: int) -> float:
    """The factor of the stage's learning rate at `step` (from 0) of `steps`: 1, or one cycle along cosines from 0.04
    up to 1 and down to 0 (Smith and Topin 2018).

    A function of the step needs nothing saved to resume. torch's `OneCycleLR` keeps a state, cannot start at a step
    without one, and puts peak and end a step earlier, so that the last step would have no effect.
    """
    if stage.schedule == "constant":
        return 1.0
    rise = _RISE * steps
    if step < rise:
        return 0.52 - 0.48 * math.cos(math.pi * step / rise)
    return 0.5 + 0.5 * math.cos(math.pi * (step - rise) / (steps - rise))


def build_optimizer(network: CmaClip, preset: Preset, stage: Stage) -> torch.optim.Optimizer:
    """Adam or AdamW over the parameters that move. `peak` of each group is its highest learning rate.

    The title tower and its probes learn at `preset.text_rate` times the stage's rate, the trunk of a picture tower at
    `preset.trunk_rate` times. With AdamW, norms and biases do not decay.
    """
    factors = {"backbone.text.": preset.text_rate, "title_probes.": preset.text_rate}
    if stage.moves_trunk:
        factors["backbone.visual.trunk."] = preset.trunk_rate
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            factor = next((factor for prefix, factor in factors.items() if name.startswith(prefix)), 1.0)
            rate = stage.learning_rate * factor
            decays = preset.optimizer == "adam" or parameter.ndim >= 2
            groups.setdefault((rate, preset.weight_decay if decays else 0.0), []).append(parameter)
    listed = [
        {"params": members, "lr": rate, "peak": rate, "weight_decay": decay}
        for (rate, decay), members in groups.items()
    ]
    return (torch.optim.Adam if preset.optimizer == "adam" else torch.optim.AdamW)(listed, fused=True)
