"""The Prefect flows, by the names that users deploy and schedule. They hold no logic: each calls one plain function.

`config` is the path of a cma.toml. Without one, a flow reads the file that CMA_CONFIG names, else cma.toml in the
working directory. Imports are inside the flows, so that each loads only what it needs: reading feeds takes no PyTorch.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from prefect import flow

if TYPE_CHECKING:
    from flows.ingestion.ingest import FeedSummary
    from flows.modelling.certify import CertifySummary
    from flows.modelling.train import TrainSummary
    from flows.nightly import NightlySummary
    from flows.project.project import Project
    from flows.reports.noise_report import ReportSummary
    from flows.tagging.summary import TagSummary
    from models.lifecycle.engine_card import EngineCard


@flow(name="ingest-catalog")
def ingest_catalog(config: Path | None = None, feeds: list[str] | None = None) -> "list[FeedSummary]":
    """Reads feeds into the catalogue and publishes the snapshot; returns a summary of each feed."""
    from flows.ingestion.ingest import ingest

    return ingest(_project(config), feeds or ())


@flow(name="train-cma")
def train_cma(config: Path | None = None, heads_from: str | None = None) -> "TrainSummary":
    """Trains, calibrates, evaluates and registers a model, and promotes it if it is not worse than the champion. With
    `heads_from`, a model's version or folder, only the heads are trained, on that model's features."""
    from flows.modelling.train import train
    from flows.modelling.train_heads import train_heads

    return train_heads(_project(config), heads_from) if heads_from else train(_project(config))


@flow(name="compile-engine")
def compile_engine(config: Path | None = None) -> "list[EngineCard]":
    """Exports, builds and checks the champion's engine; returns the card of each engine that was tried."""
    from flows.modelling.compile import compile_champion

    return compile_champion(_project(config))


@flow(name="certify-feeds")
def certify_feeds(config: Path | None = None, feeds: list[str] | None = None) -> "CertifySummary":
    """Certifies the champion's tags on the labels of feeds."""
    from flows.modelling.certify import certify

    return certify(_project(config), feeds or ())


@flow(name="tag-catalog")
def tag_catalog(config: Path | None = None, limit: int | None = None, until: str | None = None) -> "TagSummary":
    """Tags new and changed listings, and publishes the snapshot. At most `limit` listings, and none is begun after the
    time `until`, such as "06:00"; the next run takes up the others."""
    from flows.tagging.tag import tag

    return tag(_project(config), limit=limit, until=until)


@flow(name="noise-report")
def noise_report(config: Path | None = None) -> "ReportSummary":
    """Writes the report of noisy listings."""
    from flows.reports.noise_report import report

    return report(_project(config))


@flow(name="nightly")
def nightly(config: Path | None = None, limit: int | None = None, until: str | None = None) -> "NightlySummary":
    """Ingests, tags, publishes and reports. `limit` and `until` are those of tag-catalog."""
    from flows.nightly import nightly as run_nightly

    return run_nightly(_project(config), limit=limit, until=until)


def _project(config: Path | None) -> "Project":
    from flows.project.project import Project

    return Project.open(config)
