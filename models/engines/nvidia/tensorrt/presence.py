"""Whether TensorRT can run on this machine, and its settings. Does not load it."""

from importlib.util import find_spec
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from models.engines.nvidia import driver
from models.engines.nvidia.shapes import BATCH, LENGTHS

Precision = Literal["bf16", "fp16", "tf32", "float32"]

INSTALL = "install it with `uv sync --extra tensorrt` or `pip install 'cma-tagger[tensorrt]'`"


def installed() -> str | None:
    """The installed package: the full TensorRT, else the lean runtime, which runs plans but cannot build them."""
    return next((name for name in ("tensorrt", "tensorrt_lean") if find_spec(name)), None)


def missing() -> str | None:
    """What TensorRT lacks on this machine, and how to install it; None: nothing."""
    if installed() is None:
        return f"TensorRT is not installed: {INSTALL}"
    # Without a driver TensorRT returns objects that crash the process when they are used.
    if trouble := driver.missing():
        return f"TensorRT is installed, but {trouble}"
    return None


@dataclass(frozen=True, config=ConfigDict(extra="forbid", use_attribute_docstrings=True))
class TensorRtSettings:
    """The plan that `cma compile` builds for an NVIDIA card: `[tag.tensorrt]`."""

    precision: Precision = "bf16"
    """Precision of matrix products. All else is float32; convolutions are tf32 unless this is float32."""
    lengths: tuple[Annotated[int, Field(ge=2)], ...] = LENGTHS
    """Title lengths in tokens that batches are padded to, besides the model's own."""
    batch: int = Field(default=BATCH, ge=1)
    """Listings in a batch."""
    version_compatible: bool = False
    """Whether the plan runs under later TensorRT versions and the lean runtime, somewhat slower."""
