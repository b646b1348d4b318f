"""An exponential moving average of the weights: what is validated and kept, where a preset asks for one."""

import torch
from torch import Tensor, nn

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
