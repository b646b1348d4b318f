"""Tags new and changed listings: Dask workers tag units, one transaction stores the tags, a snapshot is published.

Dask and PyTorch are loaded only where there is something to tag.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import numpy as np
import polars as pl

from catalog_io.catalog.tag_tables import Collected, Rules
from catalog_io.feature_store import FeatureStore
from catalog_io.pictures.shards import DamagedShards
from flows.project.cluster import dask_client
from flows.project.isolation import run_units
from flows.project.progress import bar, console
from flows.project.project import Project, conserve, cores
from flows.project.resumable import resumable
from flows.tagging.drift import watch
from flows.tagging.summary import ListingsKilled, TagSummary
from flows.tagging.units import AT_ONCE, Champion, TagUnits, Unit, write_units
from models.engines.table import candidates
from models.lifecycle.model import Model
from schemas.errors import ConfigurationError, DamagedFile

_SLICE = 16_384  # listings that are tagged and stored at once where the time is limited


def tag(project: Project, *, limit: int | None = None, until: str | None = None) -> TagSummary:
    """Tags every listing that the champion, on its engine and with its certificates, has not tagged with its present
    title, picture and labels; then publishes a snapshot. ListingsKilled at the end where some killed their workers.

    New listings come first, then changed ones, then those that only a new model or certificate concerns. At most
    `limit` are tagged, and none is begun after the time `until` ("06:00"); the next run takes up the others."""
    end = _next(until) if until else None
    model = project.model()
    for name in candidates(project.settings.tag.engine):
        if restored := model.restore_network(name):
            console.print(f"{restored} was missing or damaged, and is exported again from the weights", markup=False)
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
        feeds = _tag_untagged(project, model, rules, run.run_id, summary, limit, end)
        conserve("listings selected", summary.selected, {"tagged": summary.tagged, "rejected": summary.rejected})
        if feeds:
            for name, count in project.catalog.count_changes(run.run_id).items():
                setattr(summary, name, count)
            for feed in feeds:
                own = np.array([feed])
                if names := [name for name in certificates.pooled if not certificates.certified(name, own).all()]:
                    summary.uncertified[feed] = names
            certified = [feed for feed in feeds if feed in certificates.feeds]
            summary.drift = watch(project, model, certificates, certified, engine=engine, run_id=run.run_id)
        summary.snapshot = str(project.catalog.publish())
        run.summary.update(asdict(summary))
        if killers := project.catalog.killers(run.run_id):
            raise ListingsKilled(killers, summary)
    return summary


def _tag_untagged(
    project: Project,
    model: Model,
    rules: Rules,
    run_id: str,
    summary: TagSummary,
    limit: int | None,
    end: datetime | None,
) -> list[str]:
    """Tags what is not tagged yet, and returns its feeds. What a damaged file was made from makes it again; pictures of
    a damaged shard are given up until the next ingest."""
    feeds: set[str] = set()
    while True:
        untagged = project.catalog.untagged(rules)
        summary.left = untagged.height
        wanted = untagged if limit is None else untagged.head(limit - summary.selected)
        try:
            for part in wanted.iter_slices(_SLICE if end else max(wanted.height, 1)):
                if end and datetime.now(UTC) >= end:
                    break
                collected = _tag(project, model, rules, part, run_id, summary)
                for name, count in collected._asdict().items():
                    setattr(summary, name, getattr(summary, name) + count)
                summary.selected += part.height
                summary.left -= part.height
                feeds |= set(part["feed"])
        except DamagedShards as fault:
            project.give_up_shards(fault.shards)
        except DamagedFile as fault:
            console.print(f"{fault}; it is made again", markup=False)
        else:
            return sorted(feeds)


def _next(time: str) -> datetime:
    """The next moment at which it is this time ("06:00") here."""
    try:
        wanted = datetime.strptime(time, "%H:%M").time()
    except ValueError as fault:
        raise ConfigurationError(f"--until: {time!r} is no time of day; write one such as 06:00") from fault
    now = datetime.now().astimezone()
    moment = now.replace(hour=wanted.hour, minute=wanted.minute, second=0, microsecond=0)
    return moment if moment > now else moment + timedelta(days=1)


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
        known = sum(unit.rows for unit in units if unit.known)
        done = _compute(project, champion, units)
        collected = project.catalog.store_tagged(
            [unit.out for unit in done],
            model_version=model.version,
            engine=champion.engine,
            rules=rules,
            run_id=run_id,
            tagged_at=datetime.now(UTC),
            history_days=settings.history_days,
        )
        shutil.rmtree(work)
        if store:
            store.tidy(project.catalog.input_hashes())
    summary.from_features += known
    return collected


def _compute(project: Project, champion: Champion, units: Sequence[Unit]) -> list[Unit]:
    """Tags the units that are not tagged yet; returns all of them, halves in place of those that were halved."""
    settings = project.settings.tag
    work = TagUnits(champion, 1)
    needs_engine = any(unit.known is None for unit in units if not work.is_done(unit))
    # An engine uses all threads of a user's worker, or its share of this machine's cores; tagging from features, one.
    workers = settings.workers or max(1, cores() // 2 if needs_engine else cores())
    with (
        bar("tag", sum(unit.rows for unit in units)) as advance,
        dask_client(settings.dask, workers, at_once=AT_ONCE if needs_engine else 1) as client,
    ):
        threads = max(1, min(client.nthreads().values(), default=1) if settings.dask else cores() // workers)
        return run_units(TagUnits(champion, threads), units, client, advance)
