"""The only file that imports tensorrt. Import it where `presence.missing()` is None."""

import importlib
from functools import cache
from typing import TYPE_CHECKING

from models.engines.nvidia.tensorrt.presence import INSTALL, installed
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    import tensorrt as trt
else:
    try:
        trt = importlib.import_module(installed() or "tensorrt")
    except (ImportError, OSError) as error:  # its shared libraries come in a package of their own
        raise ConfigurationError(f"tag.engine: TensorRT cannot be loaded ({error}): {INSTALL}") from error

OLDEST = 11  # from here on precision comes from the graph alone

__all__ = ["builds", "log", "trt", "version"]


def version() -> str:
    if int(trt.__version__.split(".")[0]) < OLDEST:
        raise ConfigurationError(f"tag.engine: TensorRT {trt.__version__} is too old, {OLDEST} is needed: {INSTALL}")
    return trt.__version__


def builds() -> bool:
    """False of the lean runtime."""
    return hasattr(trt, "Builder")


@cache
def log() -> trt.Logger:
    """TensorRT keeps the first logger that it is given; it writes warnings and errors to stderr."""
    return trt.Logger(trt.Logger.WARNING)
