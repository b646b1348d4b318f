"""Models that were trained, which of them tags, and runs that were made."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from catalog_io.catalog.tables import EVALUATIONS, MODEL_VERSIONS, PROMOTIONS, RUNS
from schemas.errors import UserError

State = Literal["candidate", "champion", "retired", "refused"]
_JSON = ("data", "config", "metrics", "comparison")


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A finished model and where it comes from. `path` is its folder below the home; `data` counts the labelled
    listings by feed and split, `data_hash` is of those very listings; `pretrained`: a tag, or a file's SHA-256."""

    model_version: str
    preset: str
    path: str
    pretrained: str | None
    data_hash: str
    data: Mapping[str, Mapping[str, int]]
    config: Mapping[str, Any]
    code_version: str
    git_commit: str | None
    seconds: float
    device: str
    metrics: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ModelRow(Registration):
    """A registered model. `parent` is the champion when it was trained. State `retired`: it was the champion once;
    `refused`: it was not promoted by itself, for the reason in `refused`."""

    created_at: datetime
    parent: str | None
    comparison: Mapping[str, Any] | None
    refused: str | None
    state: State

    @property
    def champion(self) -> bool:
        """Whether it is the one that tags."""
        return self.state == "champion"


class Promotion(NamedTuple):
    """One change of the champion; it stands until a rollback withdraws it."""

    place: int
    model_version: str
    replaced: str | None
    reason: str
    promoted_at: datetime
    withdrawn_at: datetime | None


def register(connection: sa.Connection, model: Registration, created_at: datetime) -> None:
    parent = _champion(connection)
    row = {name: _json(value) if name in _JSON else value for name, value in asdict(model).items()}
    connection.execute(sa.delete(MODEL_VERSIONS).where(MODEL_VERSIONS.c.model_version == model.model_version))
    connection.execute(sa.insert(MODEL_VERSIONS).values(**row, created_at=created_at, parent=parent))
    if parent is None:
        promote(connection, model.model_version, None, "the first model", created_at)


def record_comparison(
    connection: sa.Connection, version: str, comparison: Mapping[str, Any] | None, refused: str | None
) -> None:
    found = {"comparison": _json(comparison) if comparison else None, "refused": refused}
    connection.execute(sa.update(MODEL_VERSIONS).where(MODEL_VERSIONS.c.model_version == version).values(**found))


def promote(connection: sa.Connection, version: str, instead_of: str | None, reason: str, now: datetime) -> None:
    versions = [model.model_version for model in models(connection)]
    if version not in versions:
        raise UserError(
            f"there is no model {version}; registered are: {', '.join(versions) or 'none, run `cma train`'}"
        )
    _require_champion(connection, instead_of)
    if version == instead_of:  # a rollback would only go back to itself
        return
    place = connection.execute(sa.select(sa.func.count()).select_from(PROMOTIONS)).scalar_one() + 1
    promotion = Promotion(place, version, instead_of, reason, now, None)
    connection.execute(sa.insert(PROMOTIONS).values(**promotion._asdict()))


def roll_back(connection: sa.Connection, champion: str, now: datetime) -> None:
    _require_champion(connection, champion)
    standing = _standing(connection)
    if len(standing) < 2:
        raise UserError(f"{champion} is the first champion: there is none before it to go back to")
    withdrawn = sa.update(PROMOTIONS).where(PROMOTIONS.c.place == standing[-1].place)
    connection.execute(withdrawn.values(withdrawn_at=now))


def promotions(connection: sa.Connection) -> list[Promotion]:
    rows = connection.execute(sa.select(*(PROMOTIONS.c[name] for name in Promotion._fields)).order_by("place"))
    return [Promotion(*row) for row in rows]


def models(connection: sa.Connection) -> list[ModelRow]:
    champion, once = _champion(connection), {made.model_version for made in promotions(connection)}

    def state(version: str, refused: str | None) -> State:
        if version in once:
            return "champion" if version == champion else "retired"
        return "refused" if refused else "candidate"

    rows = connection.execute(
        sa.select(MODEL_VERSIONS).order_by(MODEL_VERSIONS.c.created_at.desc(), MODEL_VERSIONS.c.model_version)
    )
    return [
        ModelRow(
            **{**row, **{name: json.loads(row[name]) if row[name] else None for name in _JSON}},
            state=state(row["model_version"], row["refused"]),
        )
        for row in rows.mappings()
    ]


def start_run(connection: sa.Connection, run_id: str, flow: str, started_at: datetime) -> None:
    connection.execute(sa.delete(RUNS).where(RUNS.c.run_id == run_id))
    connection.execute(sa.insert(RUNS).values(run_id=run_id, flow=flow, started_at=started_at, state="running"))


def finish_run(
    connection: sa.Connection, run_id: str, state: str, summary: Mapping[str, Any], finished_at: datetime
) -> None:
    if connection.execute(sa.select(RUNS.c.run_id).where(RUNS.c.run_id == run_id)).first() is None:
        raise UserError(f"there is no run {run_id} to finish; start it first")
    done = {"state": state, "finished_at": finished_at, "summary": _json(summary)}
    connection.execute(sa.update(RUNS).where(RUNS.c.run_id == run_id).values(**done))


def _standing(connection: sa.Connection) -> list[Promotion]:
    return [made for made in promotions(connection) if made.withdrawn_at is None]


def _champion(connection: sa.Connection) -> str | None:
    standing = _standing(connection)
    return standing[-1].model_version if standing else None


def _require_champion(connection: sa.Connection, expected: str | None) -> None:
    """What was found of another champion does not hold any more."""
    if (champion := _champion(connection)) != expected:
        raise UserError(
            f"another run has changed the champion meanwhile: it is {champion or 'none'}, not {expected or 'none'}; "
            "nothing was changed. Look at `cma models`, and run this again"
        )


def _json(value: Any) -> str:
    """JSON as everyone reads it: a share of nothing is null, where Python would write NaN."""
    return json.dumps(_finite(value))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def store_evaluation(
    connection: sa.Connection,
    *,
    model_version: str,
    engine: str,
    split: str,
    data_hash: str,
    results: Mapping[str, Any],
    evaluated_at: datetime,
) -> None:
    """Keeps the latest of a model on an engine and these very listings."""
    key = {"model_version": model_version, "engine": engine, "split": split, "data_hash": data_hash}
    same = [EVALUATIONS.c[name] == value for name, value in key.items()]
    connection.execute(sa.delete(EVALUATIONS).where(*same))
    row = {**key, "evaluated_at": evaluated_at, "results": json.dumps(dict(results), allow_nan=False)}
    connection.execute(sa.insert(EVALUATIONS).values(**row))
