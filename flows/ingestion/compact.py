"""Housekeeping of the stored pictures."""

from dataclasses import dataclass

from catalog_io.catalog.compaction import compact as merge
from catalog_io.catalog.snapshot import SNAPSHOT, publish
from flows.project.project import Project

FEWEST = 16  # small shards that make a nightly merge worth its while


@dataclass(frozen=True)
class CompactSummary:
    """Small shards merged, the shards they became, and old files removed."""

    merged: int
    into: int
    removed: int


def compact(project: Project, *, fewest: int = 2) -> CompactSummary:
    """Merges small shards of many ingests, and removes files that nothing has named for a day."""
    with project.run("compact-pictures") as run:
        done = merge(project.catalog, project.shards, fewest=fewest)
        if done.merged and (project.home / SNAPSHOT).exists():
            publish(project.home)  # readers of the snapshot look in the new shards from now on
        run.summary.update(done._asdict())
    return CompactSummary(*done)
