"""Whether a disk has room for what a run is about to write."""

import shutil
from pathlib import Path

from schemas.errors import UserError

_RESERVE = 50_000_000  # bytes, for logs, reports and the like


def require_space(folder: Path, needed: float, what: str) -> None:
    """UserError where the disk of `folder` has less free than `needed` bytes and a reserve."""
    free = shutil.disk_usage(folder).free
    if free < needed + _RESERVE:
        raise UserError(
            f"{what} needs about {_size(needed + _RESERVE)} on the disk of {folder}, and {_size(free)} are free: free "
            "some space, or move the project's home to a larger disk (home in cma.toml)"
        )


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
