"""What a project's home holds, by part."""

from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

# The part that each name in a home belongs to; all else is "other".
PARTS = {
    "work.duckdb": "catalogue",
    "work.duckdb.wal": "catalogue",
    "catalog.duckdb": "published snapshot",
    "pictures": "pictures",
    "features": "features of listings (made again where they are missing)",
    "models": "models and their engines",
    "ablation": "experiments of `cma ablate` (may be removed)",
    "cache": "features of pictures for training (may be removed)",
    "partitions": "units of tagging runs that are not finished",
    "ingest": "work of ingests that are not finished",
    "reports": "reports",
}


class Usage(NamedTuple):
    """The size of one part."""

    part: str
    files: int
    size: int  # bytes


def usage(home: Path) -> list[Usage]:
    """The parts of the home, the largest first."""
    files, sizes = defaultdict[str, int](int), defaultdict[str, int](int)
    for path in home.rglob("*"):
        with suppress(FileNotFoundError):  # a run may be at work
            if path.is_file():
                part = PARTS.get(path.relative_to(home).parts[0], "other")
                sizes[part] += path.stat().st_size
                files[part] += 1
    return sorted((Usage(part, files[part], sizes[part]) for part in sizes), key=lambda found: -found.size)
