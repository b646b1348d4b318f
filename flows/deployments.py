"""The Prefect flows, by the names that users deploy and schedule. They hold no logic: each calls one plain function.

`config` is the path of a cma.toml; without one, CMA_CONFIG or the working directory's is taken. Imports are inside,
so that a flow loads only what it needs: reading feeds takes no PyTorch.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import flow

if TYPE_CHECKING:
    from flows.project.project import Project


@flow(name="ingest-catalog")
def ingest_catalog(config: Path | None = None, feeds: list[str] | None = None) -> Any:
    """Reads feeds into the catalogue; returns a list of `FeedSummary`."""
    from flows.ingestion.ingest import ingest

    return ingest(_project(config), feeds or ())


@flow(name="train-cma")
def train_cma(config: Path | None = None) -> Any:
    """Trains, calibrates, evaluates, registers a model, and promotes it where it is not worse: a `TrainSummary`."""
    from flows.modelling.train import train

    return train(_project(config))


@flow(name="compile-engine")
def compile_engine(config: Path | None = None) -> Any:
    """Exports, builds and gates the champion's engine; returns an `EngineCard` of each that was tried."""
    from flows.modelling.compile import compile_champion

    return compile_champion(_project(config))


@flow(name="certify-feeds")
def certify_feeds(config: Path | None = None, feeds: list[str] | None = None) -> Any:
    """Certifies the champion's tags on the labels of feeds; returns a `CertifySummary`."""
    from flows.modelling.certify import certify

    return certify(_project(config), feeds or ())


@flow(name="tag-catalog")
def tag_catalog(config: Path | None = None) -> Any:
    """Tags what is new or changed, and publishes; returns a `TagSummary`."""
    from flows.tagging.tag import tag

    return tag(_project(config))


@flow(name="noise-report")
def noise_report(config: Path | None = None) -> Any:
    """Writes the noisy-listing report; returns a `ReportSummary`."""
    from flows.reports.noise_report import report

    return report(_project(config))


@flow(name="nightly")
def nightly(config: Path | None = None) -> Any:
    """Ingest → tag → publish → report; returns a `NightlySummary`."""
    from flows.nightly import nightly as run_nightly

    return run_nightly(_project(config))


def _project(config: Path | None) -> "Project":
    from flows.project.project import Project

    return Project.open(config)
