"""Ingests the one feed of a project, and asks its catalogue."""

from pathlib import Path
from typing import Any

import duckdb

from flows.ingestion.ingest import FeedSummary, ingest
from flows.project.project import Project


def run(project: Path) -> FeedSummary:
    (summary,) = ingest(Project.open(project / "cma.toml"))
    assert summary.read == summary.accepted + summary.rejected
    return summary


def select(project: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(project / "warehouse" / "work.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()
