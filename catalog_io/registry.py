"""Models that were trained, and runs that were made."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from catalog_io.tables import MODEL_VERSIONS, RUNS
from schemas.errors import UserError


class ModelRow(NamedTuple):
    """A registered model; `path` is its folder, `champion` marks the one that tags."""

    model_version: str
    created_at: datetime
    preset: str
    path: str
    champion: bool
    metrics: dict[str, Any]


def register(
    connection: sa.Connection,
    version: str,
    preset: str,
    path: str,
    metrics: Mapping[str, Any],
    champion: bool,
    created_at: datetime,
) -> None:
    row = {
        "model_version": version,
        "created_at": created_at,
        "preset": preset,
        "path": path,
        "champion": False,
    }
    connection.execute(sa.delete(MODEL_VERSIONS).where(MODEL_VERSIONS.c.model_version == version))
    connection.execute(sa.insert(MODEL_VERSIONS).values(**row, metrics=json.dumps(dict(metrics))))
    if champion:
        promote(connection, version)


def promote(connection: sa.Connection, version: str) -> None:
    versions = [model.model_version for model in models(connection)]
    if version not in versions:
        raise UserError(
            f"there is no model {version}; registered are: {', '.join(versions) or 'none, run `cma train`'}"
        )
    connection.execute(sa.update(MODEL_VERSIONS).values(champion=MODEL_VERSIONS.c.model_version == version))


def models(connection: sa.Connection) -> list[ModelRow]:
    table = MODEL_VERSIONS
    order = (table.c.created_at.desc(), table.c.model_version)
    rows = connection.execute(sa.select(*(table.c[name] for name in ModelRow._fields)).order_by(*order))
    return [ModelRow(**{**row, "metrics": json.loads(row["metrics"])}) for row in rows.mappings()]


def start_run(connection: sa.Connection, run_id: str, flow: str, started_at: datetime) -> None:
    connection.execute(sa.delete(RUNS).where(RUNS.c.run_id == run_id))
    connection.execute(sa.insert(RUNS).values(run_id=run_id, flow=flow, started_at=started_at, state="running"))


def finish_run(
    connection: sa.Connection, run_id: str, state: str, summary: Mapping[str, Any], finished_at: datetime
) -> None:
    if connection.execute(sa.select(RUNS.c.run_id).where(RUNS.c.run_id == run_id)).first() is None:
        raise UserError(f"there is no run {run_id} to finish; start it first")
    done = {"state": state, "finished_at": finished_at, "summary": json.dumps(dict(summary))}
    connection.execute(sa.update(RUNS).where(RUNS.c.run_id == run_id).values(**done))
