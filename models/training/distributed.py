"""Several processes train as one: each takes its micro-batches of every batch, and gradients are summed.

Under `torchrun` (which sets the environment) or any started process group; without one, a single process does all.
"""

from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor, nn


def rank() -> int:
    """This process's number; only 0 writes files."""
    return dist.get_rank() if dist.is_initialized() else 0


def processes() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def sum_gradients(parameters: list[nn.Parameter]) -> None:
    """After this every process holds the whole batch's gradients."""
    if processes() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    for gradient, summed in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(summed.view_as(gradient))


def sum_of(value: Tensor) -> Tensor:
    if processes() > 1:
        dist.all_reduce(value)
    return value


def average_statistics(network: nn.Module, *others: Mapping[str, Tensor]) -> None:
    """Averages batch normalisation's running statistics, which each process takes from its own micro-batches: those of
    the network, and of `others`, further weights of it by name (the moving average)."""
    if processes() == 1:
        return
    for name, buffer in network.named_buffers():
        for tensor in (buffer, *(weights[name] for weights in others if name in weights)):
            if tensor.is_floating_point():
                dist.all_reduce(tensor)
                tensor /= processes()


def wait_for_all() -> None:
    if processes() > 1:
        dist.barrier()
