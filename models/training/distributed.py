"""Data-parallel training: each process takes its micro-batches of every batch, and gradients are summed.

Without a started process group (`torchrun` starts one), a single process does everything.
"""

from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor, nn


def rank() -> int:
    """This process's number, from 0; only 0 writes files."""
    return dist.get_rank() if dist.is_initialized() else 0


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def sum_gradients(parameters: list[nn.Parameter]) -> None:
    """Replaces each gradient by its sum over the processes: the gradient of the whole batch."""
    if processes() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    for gradient, summed in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(summed.view_as(gradient))


def sum_over_processes(value: Tensor) -> Tensor:
    """The sum of a value over the processes, in place."""
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
