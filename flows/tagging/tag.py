"""Tags new and changed listings: Dask workers tag units, one transaction stores the tags, a snapshot is published.

Dask and PyTorch are loaded only where there is something to tag.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

import numpy as np
import polars as pl

from catalog_io.catalog.tag_tables import RETRY_KILLER, Collected, Rules
from catalog_io.feature_store import FeatureStore
from catalog_io.pictures.shards import DamagedShards
from flows.project.cluster import dask_client
from flows.project.isolation import run_units
from flows.project.progress import bar, console
from flows.project.project import Project, conserve, cores
from flows.project.resumable import resumable
from flows.tagging.drift import FeedDrift, watch
from flows.tagging.units import AT_ONCE, Champion, TagUnits, Unit, write_units
from models.engines.table import EngineName, candidates
from models.lifecycle.model import Model
from schemas.errors import DamagedFile, UserError

_NAMED = 5  # listings in a message


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
    changed_tags: int = 0  # other value or acceptance than before, of listings that changed
    changed_by_rules: int = 0  # the same, of listings that did not: another model, engine or certificate
    flags_raised: int = 0
    flags_removed: int = 0
    uncertified: dict[str, list[str]] = field(default_factory=dict)  # attributes without a certificate, by feed
    drift: list[FeedDrift] = field(default_factory=list)  # of certified feeds
    snapshot: str = ""  # path of the published database


class ListingsKilled(UserError):
    """Some listings were rejected because they killed the processes that worked on them. `summary` is of all."""

    def __init__(self, killers: Mapping[str, str], summary: TagSummary) -> None:
        named = "\n".join(f"  {listing}: {reason}" for listing, reason in list(killers.items())[:_NAMED])
        more = f"\n  and {len(killers) - _NAMED} more" if len(killers) > _NAMED else ""
        super().__init__(
            f"{len(killers)} of {summary.selected} listings killed the worker processes that tagged them. They are in "
            "the table rejections (code tag_kills_worker), and left out until they or the model change, or for "
            f"{RETRY_KILLER.days} days; all others are tagged and published\n{named}{more}"
        )
        self.summary = summary


def tag(project: Project) -> TagSummary:
    """Tags every listing that the champion, on its engine and with its certificates, has not tagged with its present
    title, picture and labels; then publishes a snapshot. ListingsKilled at the end where some killed their workers."""
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
        untagged = _tag_untagged(project, model, rules, run.run_id, summary)
        if untagged.height:
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
        if killers := project.catalog.killers(run.run_id):
            raise ListingsKilled(killers, summary)
    return summary


def _tag_untagged(project: Project, model: Model, rules: Rules, run_id: str, summary: TagSummary) -> pl.DataFrame:
    """Tags what is not tagged yet, and returns it. What a damaged file was made from makes it again; pictures of a
    damaged shard are given up until the next ingest."""
    while True:
        untagged = project.catalog.untagged(rules)
        summary.selected = untagged.height
        if untagged.is_empty():
            return untagged
        try:
            collected = _tag(project, model, rules, untagged, run_id, summary)
        except DamagedShards as fault:
            project.give_up_shards(fault.shards)
        except DamagedFile as fault:
            console.print(f"{fault}; it is made again", markup=False)
        else:
            for count, value in collected._asdict().items():
                setattr(summary, count, value)
            return untagged


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
