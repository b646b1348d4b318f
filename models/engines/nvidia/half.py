"""The network with its matrix products in half precision, as an engine wants it that computes with PyTorch."""

from copy import deepcopy

import torch
from torch import nn

from models.network.cma_clip import CmaClip

_PRODUCTS = (nn.Linear, nn.Conv2d, nn.MultiheadAttention)


def in_half(network: CmaClip, half: torch.dtype) -> CmaClip:
    """A copy to be run under autocast to `half`. Autocast would cast these weights at every batch; norms, softmaxes,
    residuals and embeddings stay float32."""
    made = deepcopy(network).eval().requires_grad_(False)
    for module in made.modules():
        if isinstance(module, _PRODUCTS):
            for parameter in module.parameters(recurse=False):
                parameter.data = parameter.data.to(half)
    return made
