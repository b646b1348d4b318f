"""Tags what is new or changed: partitions out to Dask workers, one collecting transaction, a published snapshot.

Dask and PyTorch are loaded where there is something to tag.
"""

import shutil
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from catalog_io.atomic import write_atomically
from catalog_io.partitions import write_partitions
from catalog_io.publication import publish
from flows.cluster import dask_client
from flows.drift import FeedDrift, watch
from flows.progress import bar, console
from flows.project import Project, conserve, cores
from models.calibration import Certificates
from models.card import read_card
from models.engines.card import EngineName, certificates_on, chosen_backend

if TYPE_CHECKING:
    from models.tagger import Tagger


@dataclass
class TagSummary:
    """Listings of one run: `selected` = `tagged` + `rejected`; the tags and flags that they got. `uncertified` names
    the attributes that each feed of theirs has no certificate for, `drift` what became of its confidences."""

    model_version: str
    engine: str
    selected: int = 0
    tagged: int = 0
    rejected: int = 0
    accepted_tags: int = 0
    provisional_tags: int = 0
    flags: int = 0
    uncertified: dict[str, list[str]] = field(default_factory=dict)
    drift: list[FeedDrift] = field(default_factory=list)
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
        certificates = certificates_on(folder, card, backend)
        ids = {feed: certificates.id(feed) for feed in certificates.feeds}
        untagged = project.catalog.untagged(card.version, backend, certificates=ids, pooled=certificates.pooled_id)
        summary.selected = untagged.height
        if untagged.height:
            made = "-".join([certificates.pooled_id, *ids.values()])
            work = project.home / "partitions" / _plan(untagged, card.version, backend, made)
            outputs = _tag_partitions(project, untagged, folder, backend, made, work)
            collected = project.catalog.store_tagged(
                outputs,
                model_version=card.version,
                engine=backend,
                run_id=run.run_id,
                tagged_at=datetime.now(UTC),
            )
            summary.tagged, summary.rejected = collected.tagged, collected.rejected
            summary.accepted_tags, summary.provisional_tags = collected.accepted_tags, collected.provisional_tags
            summary.flags = collected.flags
            conserve(
                "listings selected",
                summary.selected,
                {"tagged": summary.tagged, "rejected": summary.rejected},
            )
            shutil.rmtree(work)
            feeds = sorted(untagged["feed"].unique())
            summary.uncertified = _uncertified(certificates, feeds)
            certified = [feed for feed in feeds if feed in certificates.feeds]
            summary.drift = watch(project, card, certificates, certified, engine=backend, run_id=run.run_id)
        summary.snapshot = str(publish(project.home))
        run.summary.update(asdict(summary))
    return summary


def _uncertified(certificates: Certificates, feeds: list[str]) -> dict[str, list[str]]:
    missing = {
        feed: [name for name in certificates.pooled if not certificates.certified(name, np.array([feed])).all()]
        for feed in feeds
    }
    return {feed: names for feed, names in missing.items() if names}


def _plan(untagged: pl.DataFrame, version: str, backend: str, certificates: str) -> str:
    """The same work has the same name, so a run that was killed goes on where it was."""
    digest = blake2b(f"{version}\0{backend}\0{certificates}".encode(), digest_size=8)
    for row in untagged.select("feed", "listing_id", "input_hash").sort("feed", "listing_id").iter_rows():
        digest.update("\0".join(row).encode())
    return digest.hexdigest()


def _tag_partitions(
    project: Project, untagged: pl.DataFrame, model: Path, backend: str, certificates: str, work: Path
) -> list[Path]:
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
            client.submit(tag_partition, path, out, model, backend, certificates, threads, pure=False, retries=2)
            for path, out in todo
        ]
        for future in as_completed(futures):
            advance(future.result())
    return outputs


def tag_partition(path: Path, out: Path, model: Path, backend: EngineName, certificates: str, threads: int) -> int:
    """Runs in a Dask worker: one partition in, one partition out, whole or not at all. Returns its listings."""
    tagged = _tagger(model, backend, certificates, threads).tag(pl.read_parquet(path))
    write_atomically(out, tagged)
    return tagged.height


@lru_cache(maxsize=1)
def _tagger(model: Path, backend: EngineName, certificates: str, threads: int) -> "Tagger":
    """Once a process; a restarted worker loads it again, and one that was started before `cma certify`."""
    from models.tagger import Tagger

    return Tagger.load(model, engine=backend, threads=threads)
