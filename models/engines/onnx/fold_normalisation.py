"""Folds the normalisation of pictures into the tower's first convolution, so that an engine reads raw pixels."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Num
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn

from models.network.embeddings import Normalisation
from models.network.towers import ClipBackbone


@contextmanager
def folded_normalisation(backbone: ClipBackbone) -> Iterator[bool]:
    """Within the context, 1/std is in the weights of the first convolution and −mean/std in its bias: the same numbers
    but for rounding. Where the convolution pads with zeros, which stand for the mean colour, the mean is still
    subtracted before. Yields False, and changes nothing, where the tower does not begin with a convolution."""
    first = _first_convolution(backbone)
    if first is None:
        yield False
        return
    normalise, weight, bias = backbone.normalise, first.weight, first.bias
    assert isinstance(normalise, Normalisation)
    mean, std = normalise.mean, normalise.std
    scaled = weight.double() / std.double()[:, None, None]
    try:
        first.weight = _parameter(scaled, weight)
        backbone.normalise = _Centred(mean)
        if first.padding in ((0, 0), "valid") and type(first) is nn.Conv2d:
            shift = -(scaled * mean.double()[:, None, None]).sum(dim=(1, 2, 3))
            first.bias = _parameter(shift if bias is None else bias + shift, weight)
            backbone.normalise = _Pixels()
        yield True
    finally:
        backbone.normalise, first.weight, first.bias = normalise, weight, bias


class _Pixels(nn.Module):
    def forward(self, pictures: Num[Tensor, "B H W 3"]) -> Float[Tensor, "B H W 3"]:
        return pictures.float()


class _Centred(nn.Module):
    def __init__(self, mean: Tensor) -> None:
        super().__init__()
        self._mean = mean

    def forward(self, pictures: Num[Tensor, "B H W 3"]) -> Float[Tensor, "B H W 3"]:
        return pictures - self._mean


def _first_convolution(backbone: ClipBackbone) -> nn.Conv2d | None:
    """The convolution that reads the normalised picture; None where there is not exactly one."""
    height, width = backbone.image_size
    black = torch.zeros(1, height, width, 3, device=next(backbone.parameters()).device)
    normal = backbone.normalise(black).permute(0, 3, 1, 2)
    found: list[nn.Conv2d] = []

    def reads(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        if isinstance(module, nn.Conv2d) and given and torch.equal(given[0], normal):
            found.append(module)

    # Other subclasses of Conv2d may use their weights differently; this one only pads with zeros before.
    known = [part for part in backbone.visual.modules() if type(part) in (nn.Conv2d, Conv2dSame)]
    hooks = [part.register_forward_pre_hook(reads) for part in known]
    try:
        with torch.inference_mode():
            backbone.images(black)
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if len(found) == 1 and found[0].groups == 1 else None


def _parameter(values: Tensor, like: Tensor) -> nn.Parameter:
    return nn.Parameter(values.to(like.dtype), requires_grad=False)
