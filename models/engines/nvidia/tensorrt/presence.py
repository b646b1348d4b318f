"""Whether TensorRT can run here, told without loading it."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from models.engines.nvidia import driver as cuda
from models.engines.nvidia.shapes import BATCH, LENGTHS

Precision = Literal["bf16", "fp16", "tf32", "float32"]

INSTALL = "install it with `uv sync --extra tensorrt` or `pip install 'cma-tagger[tensorrt]'`"


def installed() -> str | None:
    """The package that holds TensorRT: the whole library, else the lean runtime, which runs plans but builds none."""
    return next((name for name in ("tensorrt", "tensorrt_lean") if find_spec(name)), None)


def missing() -> str | None:
    """What TensorRT lacks on this machine, and the way out."""
    if installed() is None:
        return f"TensorRT is not installed: {INSTALL}"
    # Without a driver TensorRT hands out objects that end the process when they are used.
    if trouble := cuda.missing():
        return f"TensorRT is installed, but {trouble}"
    return None


@dataclass(frozen=True)
class Options:
    """`precision` is that of matrix products; all else is float32, convolutions tf32 unless it says float32."""

    precision: Precision = "bf16"
    lengths: tuple[int, ...] = LENGTHS
    batch: int = BATCH
    version_compatible: bool = False
