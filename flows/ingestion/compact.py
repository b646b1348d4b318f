"""Merges small picture shards and removes files that are no longer used."""

from catalog_io.catalog.compaction import Compacted
from catalog_io.catalog.compaction import compact as merge
from catalog_io.catalog.database import SNAPSHOT
from catalog_io.pictures.shards import DamagedShards
from flows.project.project import Project

FEWEST = 16  # small shards from which a nightly merge is worth its time


def compact(project: Project, *, fewest: int = 2) -> Compacted:
    """Merges small shards of many ingests (from `fewest` on), and removes files that have been unused for a day."""
    with project.run("compact-pictures") as run:
        try:
            done = merge(project.catalog, project.shards, fewest=fewest)
        except DamagedShards as fault:
            project.give_up_shards(fault.shards)
            done = merge(project.catalog, project.shards, fewest=fewest)
        if done.merged and (project.home / SNAPSHOT).exists():
            project.catalog.publish()  # the snapshot must name the new shards
        run.summary.update(done._asdict())
    return done
