"""The Prefect flows, by the names that users deploy and schedule. They hold no logic: each calls one plain function."""

from pathlib import Path

from prefect import flow

from flows.compile import compile_champion
from flows.ingest import FeedSummary
from flows.ingest import ingest as ingest_feeds
from flows.nightly import NightlySummary
from flows.nightly import nightly as run_nightly
from flows.project import Project
from flows.report import ReportSummary
from flows.report import report as write_report
from flows.tag import TagSummary
from flows.tag import tag as tag_listings
from flows.train import train as train_model
from models.checkpoint import ModelCard
from models.engines.build import EngineCard

# `config` is the path of a cma.toml; without one, CMA_CONFIG or the working directory's is taken.


@flow(name="ingest-catalog")
def ingest_catalog(config: Path | None = None, feeds: list[str] | None = None) -> list[FeedSummary]:
    """Reads feeds into the catalogue."""
    return ingest_feeds(Project.open(config), feeds or ())


@flow(name="train-cma")
def train_cma(config: Path | None = None) -> ModelCard:
    """Trains, calibrates, evaluates and registers a model."""
    return train_model(Project.open(config))


@flow(name="compile-engine")
def compile_engine(config: Path | None = None) -> EngineCard:
    """Exports, builds and gates the champion's engine."""
    return compile_champion(Project.open(config))


@flow(name="tag-catalog")
def tag_catalog(config: Path | None = None) -> TagSummary:
    """Tags what is new or changed, and publishes."""
    return tag_listings(Project.open(config))


@flow(name="noise-report")
def noise_report(config: Path | None = None) -> ReportSummary:
    """Writes the noisy-listing report."""
    return write_report(Project.open(config))


@flow(name="nightly")
def nightly(config: Path | None = None) -> NightlySummary:
    """Ingest → tag → publish → report."""
    return run_nightly(Project.open(config))
