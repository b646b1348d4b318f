"""The small residual image trunk that `small` trains from scratch on a CPU; timm builds it by name for open_clip."""

from typing import Any, cast

import timm
from jaxtyping import Float
from timm.models.resnet import BasicBlock
from torch import Tensor, nn


class SmallConvNet(nn.Module):
    """A strided stem and basic residual blocks; a 192×120 picture becomes a 12×8 map of patches."""

    def __init__(self, *, widths: tuple[int, ...] = (32, 64, 128, 192)) -> None:
        super().__init__()
        self.default_cfg: dict[str, Any] = {}
        self.num_features = widths[-1]
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        )
        narrower = (widths[0], *widths[:-1])
        self.blocks = nn.Sequential(
            *(
                _residual(channels, width, stride=1 if level == len(widths) - 1 else 2)
                for level, (channels, width) in enumerate(zip(narrower, widths, strict=True))
            )
        )

    def forward_features(self, pictures: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C h w"]:
        return cast(Tensor, self.blocks(self.stem(pictures)))

    def forward_head(self, features: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C"]:
        return features.mean((2, 3))

    def forward(self, pictures: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C"]:
        return self.forward_head(self.forward_features(pictures))

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """open_clip asks every trunk for this; this one has no classifier to take off."""


def _residual(channels: int, width: int, *, stride: int) -> nn.Module:
    shortcut = None
    if stride != 1 or channels != width:
        shortcut = nn.Sequential(nn.Conv2d(channels, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width))
    return cast(nn.Module, BasicBlock(channels, width, stride, downsample=shortcut))


@timm.models.register_model
def cma_small_convnet(pretrained: bool = False, **_: Any) -> SmallConvNet:
    """timm's entry point; there are no pretrained weights."""
    if pretrained:
        raise ValueError("cma_small_convnet has no pretrained weights")
    return SmallConvNet()
