"""The weights of a network and its listings, as the plain reimplementation takes them."""

import torch
from torch import Tensor, nn

from models.inputs.examples import Examples
from models.network.cma_clip import CmaClip
from tests.models.network import plain_cma_clip as plain


def shaken(network: CmaClip) -> CmaClip:
    """No norm, bias or projection is left at a value that would hide a mistake."""
    torch.manual_seed(2)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    return network


def weights_of(state: dict[str, Tensor]) -> plain.Weights:
    return {name: tensor.double() for name, tensor in state.items() if tensor.is_floating_point()}


def listings_of(chunk: Examples) -> list[plain.Listing]:
    rows = zip(chunk.pictures, chunk.tokens, chunk.present.tolist(), chunk.labels.tolist(), strict=True)
    return [plain.Listing(torch.from_numpy(p), torch.from_numpy(t), tuple(has), tuple(k)) for p, t, has, k in rows]
