"""Tags what is new or changed: partitions out to Dask workers, one collecting transaction, a published snapshot.

Dask and PyTorch are loaded where there is something to tag.
"""

import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from catalog_io.atomic import write_atomically
from catalog_io.partitions import write_partitions
from catalog_io.publication import publish
from flows.cluster import dask_client
from flows.progress import bar, console
from flows.project import Project, conserve, cores
from models.card import read_card
from models.engines.card import EngineName, chosen_backend

if TYPE_CHECKING:
    from models.tagger import Tagger


@dataclass
class TagSummary:
    """Listings of one run: `selected` = `tagged` + `rejected`. `flagged` counts listings, `accepted_tags` tags."""

    model_version: str
    engine: str
    selected: int = 0
    tagged: int = 0
    rejected: int = 0
    accepted_tags: int = 0
    flags: int = 0
    snapshot: str = ""


def tag(project: Project) -> TagSummary:
    """Everything that the champion and its engine have not tagged as it is now; then publishes."""
    folder = project.model_folder()
    card = read_card(folder)
    settings = project.settings.tag
    backend, fallback = chosen_backend(folder, card, settings.engine)
    if fallback:
        console.print(f"[yellow]tagging with the torch engine: {fallback}; `cma compile` builds it[/yellow]")
    with project.run("tag-catalog") as run:
        summary = TagSummary(card.version, backend)
        untagged = project.catalog.untagged(card.version, backend)
        summary.selected = untagged.height
        if untagged.height:
            work = project.home / "partitions" / _plan(untagged, card.version, backend)
            outputs = _tag_partitions(project, untagged, folder, backend, work)
            collected = project.catalog.store_tagged(
                outputs,
                model_version=card.version,
                engine=backend,
                run_id=run.run_id,
                tagged_at=datetime.now(UTC),
            )
            summary.tagged, summary.rejected = collected.tagged, collected.rejected
            summary.accepted_tags, summary.flags = collected.accepted_tags, collected.flags
            conserve(
                "listings selected",
                summary.selected,
                {"tagged": summary.tagged, "rejected": summary.rejected},
            )
            shutil.rmtree(work)
        summary.snapshot = str(publish(project.home))
        run.summary.update(asdict(summary))
    return summary


def _plan(untagged: pl.DataFrame, version: str, backend: str) -> str:
    """The same work has the same name, so a run that was killed goes on where it was."""
    digest = blake2b(f"{version}\0{backend}".encode(), digest_size=8)
    for row in untagged.select("feed", "listing_id", "input_hash").sort("feed", "listing_id").iter_rows():
        digest.update("\0".join(row).encode())
    return digest.hexdigest()


def _tag_partitions(project: Project, untagged: pl.DataFrame, model: Path, backend: str, work: Path) -> list[Path]:
    from distributed import as_completed

    settings = project.settings.tag
    inputs = write_partitions(untagged, project.shards, work / "in", rows_per_partition=settings.partition_rows)
    outputs = [work / "out" / path.name for path in inputs]
    todo = [(path, out) for path, out in zip(inputs, outputs, strict=True) if not out.exists()]
    (work / "out").mkdir(exist_ok=True)
    workers = settings.workers or max(1, cores() // 2)
    with bar("tag", untagged.height) as advance, dask_client(settings.dask, workers) as client:
        # An engine uses all threads of a user's worker, or its share of this machine.
        threads = max(1, min(client.nthreads().values(), default=1) if settings.dask else cores() // workers)
        futures = [
            client.submit(tag_partition, path, out, model, backend, threads, pure=False, retries=2)
            for path, out in todo
        ]
        for future in as_completed(futures):
            advance(future.result())
    return outputs


def tag_partition(path: Path, out: Path, model: Path, backend: EngineName, threads: int) -> int:
    """Runs in a Dask worker: one partition in, one partition out, whole or not at all. Returns its listings."""
    tagged = _tagger(model, backend, threads).tag(pl.read_parquet(path))
    write_atomically(out, tagged)
    return tagged.height


@cache
def _tagger(model: Path, backend: EngineName, threads: int) -> "Tagger":
    """Once a process; a restarted worker loads it again."""
    from models.tagger import Tagger

    return Tagger.load(model, engine=backend, threads=threads)
