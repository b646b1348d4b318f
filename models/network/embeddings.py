"""What towers give to sequence-wise attention: embeddings of patches and tokens; and how pixels are normalised."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor, nn


class ImageSequence(NamedTuple):
    """The image embeddings that sequence-wise attention reads: the class position, then the patches (I = 1 + P)."""

    sequence: Float[Tensor, "B I D"]
    embedding: Float[Tensor, "B D"]


class TitleSequence(NamedTuple):
    """The token embeddings that sequence-wise attention reads; `end` is the end-of-text position."""

    sequence: Float[Tensor, "B T D"]
    embedding: Float[Tensor, "B D"]
    end: Int[Tensor, " B"]
    valid: Bool[Tensor, "B T"]


class Normalisation(nn.Module):
    """Normalises pixels of 0–255 by the mean and standard deviation of the tower's training, given in units of 255."""

    mean: Tensor
    std: Tensor

    def __init__(self, *, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values) * 255.0, persistent=False)

    def forward(self, pictures: Num[Tensor, "B H W 3"]) -> Float[Tensor, "B H W 3"]:
        return (pictures - self.mean) / self.std
