"""What towers give to sequence-wise attention: embeddings of patches and tokens; and how pixels are normalised."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

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

    @classmethod
    def of(cls, sequence: Float[Tensor, "B T D"], end: Int[Tensor, " B"]) -> "TitleSequence":
        """Titles whose embedding is that of their end-of-text position, and whose tokens up to it are valid."""
        positions = torch.arange(sequence.shape[1], device=sequence.device)
        embedding = sequence.gather(1, end[:, None, None].expand(-1, 1, sequence.shape[-1]))[:, 0]
        return cls(sequence, embedding, end, positions[None, :] <= end[:, None])


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


def patch_embeddings(visual: Any, features: Float[Tensor, "B ..."]) -> Float[Tensor, "B P D"]:
    """Each patch of open_clip's `TimmModel` through the tower's pooling, norm and projection, as if it were the whole
    picture. In SigLIP's attention pooling, the softmax over a single patch is 1, so the value projection and the MLP
    remain."""
    trunk = visual.trunk
    if features.ndim == 4:
        maps_end_in_channels = getattr(trunk, "output_fmt", "NCHW") == "NHWC"
        patches = features.flatten(1, 2) if maps_end_in_channels else features.flatten(2).transpose(1, 2)
        single = patches.flatten(0, 1)
        single = single[:, None, None] if maps_end_in_channels else single[..., None, None]
    else:
        prefix = getattr(trunk, "num_prefix_tokens", 0)
        patches = features[:, prefix:]
        # The patch stands for class and register tokens, too: poolings read them, skip them or count them.
        single = patches.flatten(0, 1)[:, None].expand(-1, 1 + prefix, -1)
    return cast(Tensor, visual.head(trunk.forward_head(single))).unflatten(0, patches.shape[:2])
