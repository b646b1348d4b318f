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
    except (ImportError, OSError) as error:  # its shared libraries are in another package
        raise ConfigurationError(f"tag.engine: TensorRT cannot be loaded ({error}): {INSTALL}") from error

OLDEST = 11  # the first that takes precision from the graph only

__all__ = ["builds", "log", "trt", "version"]


def version() -> str:
    """TensorRT's version. ConfigurationError where it is too old."""
    if int(trt.__version__.split(".")[0]) < OLDEST:
        raise ConfigurationError(f"tag.engine: TensorRT {trt.__version__} is too old, {OLDEST} is needed: {INSTALL}")
    return trt.__version__


def builds() -> bool:
    """Whether this TensorRT can build plans; the lean runtime cannot."""
    return hasattr(trt, "Builder")


@cache
def log() -> trt.Logger:
    """The logger of all TensorRT objects (TensorRT keeps the first it gets): warnings and errors to stderr."""
    return trt.Logger(trt.Logger.WARNING)
