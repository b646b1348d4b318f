"""What of a plan is for the user to choose: the keys of `[tag.tensorrt]`."""

from dataclasses import dataclass
from typing import Literal

from models.engines.nvidia.shapes import BATCH, LENGTHS

Precision = Literal["bf16", "fp16", "tf32", "float32"]


@dataclass(frozen=True)
class Options:
    """`precision` is that of matrix products; all else is float32, convolutions tf32 unless it says float32."""

    precision: Precision = "bf16"
    lengths: tuple[int, ...] = LENGTHS
    batch: int = BATCH
    version_compatible: bool = False
