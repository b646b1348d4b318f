"""Tags new and changed listings: Dask workers tag units, one transaction stores the tags, a snapshot is published.

Dask and PyTorch are loaded only where there is something to tag.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

import numpy as np
import polars as pl

from catalog_io.catalog.tag_tables import Collected, Rules
from catalog_io.feature_store import FeatureStore
from flows.project.cluster import dask_client
from flows.project.progress import bar, console
from flows.project.project import Project, conserve, cores
from flows.project.resumable import resumable
from flows.tagging.drift import FeedDrift, watch
from flows.tagging.units import AT_ONCE, Champion, Unit, tag_unit, write_units
from models.engines.table import EngineName
from models.lifecycle.model import Model


@dataclass
class TagSummary:
    """Counts of one run: listings `selected` = `tagged` + `rejected`; their tags and noise flags."""

    model_version: str
    engine: EngineName
    selected: int = 0
    tagged: int = 0
    rejected: int = 0
    from_features: int = 0  # listings tagged from stored features, without an engine
    accepted_tags: int = 0
    provisional_tags: int = 0
    flags: int = 0
    uncertified: dict[str, list[str]] = field(default_factory=dict)  # attributes without a certificate, by feed
    drift: list[FeedDrift] = field(default_factory=list)  # of certified feeds
    snapshot: str = ""  # path of the published database


def tag(project: Project) -> TagSummary:
    """Tags every listing that the champion, on its engine and with its certificates, has not tagged with its present
    title, picture and labels; then publishes a snapshot."""
    model = project.model()
    engine, fallback = model.choose_engine(project.settings.tag.engine)
    if fallback:
        console.print(f"[yellow]tagging with the {engine} engine: {fallback}; run `cma compile`[/yellow]")
    with project.run("tag-catalog") as run:
        summary = TagSummary(model.version, engine)
        certificates = model.certificates(engine)
        rules = Rules(
            {feed: model.rules_id(engine, certificates.id(feed)) for feed in certificates.feeds},
            model.rules_id(engine, certificates.pooled_id),
        )
        untagged = project.catalog.untagged(rules)
        summary.selected = untagged.height
        if untagged.height:
            for count, value in _tag(project, model, rules, untagged, run.run_id, summary)._asdict().items():
                setattr(summary, count, value)
            conserve("listings selected", untagged.height, {"tagged": summary.tagged, "rejected": summary.rejected})
            feeds = sorted(untagged["feed"].unique())
            for feed in feeds:
                own = np.array([feed])
                if names := [name for name in certificates.pooled if not certificates.certified(name, own).all()]:
                    summary.uncertified[feed] = names
            certified = [feed for feed in feeds if feed in certificates.feeds]
            summary.drift = watch(project, model, certificates, certified, engine=engine, run_id=run.run_id)
        summary.snapshot = str(project.catalog.publish())
        run.summary.update(asdict(summary))
    return summary


def _tag(
    project: Project, model: Model, rules: Rules, untagged: pl.DataFrame, run_id: str, summary: TagSummary
) -> Collected:
    """Tags the listings and stores their tags. An interrupted run resumes: the same work has the same folder."""
    settings = project.settings.tag
    champion = Champion(model.folder, summary.engine, " ".join([rules.pooled, *rules.of_feeds.values()]))
    store = FeatureStore(project.home, model.encoder_key(champion.engine)) if settings.features else None
    listings = untagged.select("feed", "listing_id", "fingerprint").sort("feed", "listing_id")
    plan = (champion.rules, str(settings.partition_rows), sha256(listings.write_csv().encode()).hexdigest())
    with resumable(project.home / "partitions", *plan, what="tagging") as work:
        units = write_units(untagged, project.shards, store, work, rows=settings.partition_rows)
        summary.from_features = sum(unit.rows for unit in units if unit.known)
        _compute(project, champion, units)
        collected = project.catalog.store_tagged(
            [unit.out for unit in units],
            model_version=model.version,
            engine=champion.engine,
            rules=rules,
            run_id=run_id,
            tagged_at=datetime.now(UTC),
        )
        shutil.rmtree(work)
        if store:
            store.tidy(project.catalog.input_hashes())
    return collected


def _compute(project: Project, champion: Champion, units: Sequence[Unit]) -> None:
    from distributed import as_completed

    settings = project.settings.tag
    todo = [unit for unit in units if not unit.out.exists()]
    needs_engine = any(unit.known is None for unit in todo)
    # An engine uses all threads of a user's worker, or its share of this machine's cores; tagging from features, one.
    workers = settings.workers or max(1, cores() // 2 if needs_engine else cores())
    with (
        bar("tag", sum(unit.rows for unit in units)) as advance,
        dask_client(settings.dask, workers, at_once=AT_ONCE if needs_engine else 1) as client,
    ):
        threads = max(1, min(client.nthreads().values(), default=1) if settings.dask else cores() // workers)
        futures = [client.submit(tag_unit, unit, champion, threads, pure=False, retries=2) for unit in todo]
        for future in as_completed(futures):
            advance(future.result())
