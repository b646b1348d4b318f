"""The type of settings that name a folder of this machine."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator


def _local(value: object) -> object:
    if "://" in str(value):
        raise ValueError(
            "object stores are not supported here, only a folder of this machine (a mounted one, too); feeds and their "
            "pictures may lie in an object store"
        )
    return value


LocalFolder = Annotated[Path, BeforeValidator(_local)]
"""A path; never a URL, which would silently become a folder of that name."""
