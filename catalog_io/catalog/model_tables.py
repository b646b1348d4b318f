"""The trained models and their evaluations, which of them tags (the champion), and the runs."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import polars as pl
import sqlalchemy as sa
from pydantic_core import to_json

from catalog_io.catalog.database import Database, now
from catalog_io.catalog.model_records import ModelRow, Promotion, Registration, State
from catalog_io.catalog.tables import EVALUATIONS, MODEL_VERSIONS, PROMOTIONS, RUNS
from schemas.errors import UserError

_JSON = ("data", "config", "metrics", "comparison")


class ModelTables:
    """The part of `Catalog` for models and runs."""

    _database: Database

    def register_model(self, model: Registration) -> None:
        """Adds or replaces a model. The first model of a catalogue becomes its champion at once."""
        row = {name: _json(value) if name in _JSON else value for name, value in asdict(model).items()}
        with self._database.transaction() as connection:
            parent = _champion(connection)
            connection.execute(sa.delete(MODEL_VERSIONS).where(MODEL_VERSIONS.c.model_version == model.model_version))
            connection.execute(sa.insert(MODEL_VERSIONS).values(**row, created_at=now(), parent=parent))
            if parent is None:
                _add_promotion(connection, model.model_version, None, "the first model")

    def record_comparison(self, version: str, comparison: Mapping[str, Any] | None, refused: str | None) -> None:
        """Stores a model's comparison with the champion, and why it was not promoted by itself (None: it may be)."""
        found = {"comparison": _json(comparison) if comparison else None, "refused": refused}
        with self._database.transaction() as connection:
            connection.execute(
                sa.update(MODEL_VERSIONS).where(MODEL_VERSIONS.c.model_version == version).values(**found)
            )

    def promote(self, version: str, *, instead_of: str | None, reason: str) -> None:
        """Makes this model the champion. UserError, and nothing changes, where there is no such model, or the champion
        is not `instead_of` any more."""
        with self._database.transaction() as connection:
            versions = [model.model_version for model in _models(connection)]
            if version not in versions:
                raise UserError(
                    f"there is no model {version}; registered are: {', '.join(versions) or 'none, run `cma train`'}"
                )
            _require_champion(connection, instead_of)
            if version != instead_of:  # else a rollback would only return to the same model
                _add_promotion(connection, version, instead_of, reason)

    def roll_back(self, champion: str) -> None:
        """Withdraws the champion's promotion, so that the model before it is the champion again. UserError, and nothing
        changes, where it is not the champion any more, or there was none before it."""
        with self._database.transaction() as connection:
            _require_champion(connection, champion)
            standing = _standing(connection)
            if len(standing) < 2:
                raise UserError(f"{champion} is the first champion: there is none before it to go back to")
            withdrawn = sa.update(PROMOTIONS).where(PROMOTIONS.c.place == standing[-1].place)
            connection.execute(withdrawn.values(withdrawn_at=now()))

    def models(self) -> list[ModelRow]:
        """All registered models, the newest first."""
        with self._database.transaction() as connection:
            return _models(connection)

    def champion(self) -> ModelRow | None:
        """The model that tags; None before the first one is registered."""
        return next((model for model in self.models() if model.champion), None)

    def promotions(self) -> list[Promotion]:
        """All promotions, withdrawn ones too, the first first."""
        with self._database.transaction() as connection:
            return _promotions(connection)

    def start_run(self, run_id: str, flow: str) -> None:
        """Adds a run in state `running`, in place of an earlier one of this id."""
        with self._database.transaction() as connection:
            connection.execute(sa.delete(RUNS).where(RUNS.c.run_id == run_id))
            connection.execute(sa.insert(RUNS).values(run_id=run_id, flow=flow, started_at=now(), state="running"))

    def finish_run(self, run_id: str, state: str, summary: Mapping[str, Any]) -> None:
        """Stores a run's state and summary. UserError where the run was never started."""
        done = {"state": state, "finished_at": now(), "summary": _json(summary)}
        with self._database.transaction() as connection:
            if connection.execute(sa.select(RUNS.c.run_id).where(RUNS.c.run_id == run_id)).first() is None:
                raise UserError(f"there is no run {run_id} to finish; start it first")
            connection.execute(sa.update(RUNS).where(RUNS.c.run_id == run_id).values(**done))

    def runs(self) -> pl.DataFrame:
        """run_id, flow, started_at, finished_at, state, summary (JSON text), the newest first."""
        return self._database.execute("select * from runs order by started_at desc, run_id")

    def store_evaluation(
        self, model_version: str, *, engine: str, split: str, data_hash: str, results: Mapping[str, Any]
    ) -> None:
        """Stores the results of a model on an engine and these very listings, in place of earlier ones."""
        key = {"model_version": model_version, "engine": engine, "split": split, "data_hash": data_hash}
        row = {**key, "evaluated_at": now(), "results": json.dumps(dict(results), allow_nan=False)}
        with self._database.transaction() as connection:
            connection.execute(sa.delete(EVALUATIONS).where(*(EVALUATIONS.c[name] == key[name] for name in key)))
            connection.execute(sa.insert(EVALUATIONS).values(**row))


def _models(connection: sa.Connection) -> list[ModelRow]:
    champion, once = _champion(connection), {made.model_version for made in _promotions(connection)}

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


def _promotions(connection: sa.Connection) -> list[Promotion]:
    rows = connection.execute(sa.select(*(PROMOTIONS.c[name] for name in Promotion._fields)).order_by("place"))
    return [Promotion(*row) for row in rows]


def _add_promotion(connection: sa.Connection, version: str, replaced: str | None, reason: str) -> None:
    promotion = Promotion(len(_promotions(connection)) + 1, version, replaced, reason, now(), None)
    connection.execute(sa.insert(PROMOTIONS).values(**promotion._asdict()))


def _standing(connection: sa.Connection) -> list[Promotion]:
    return [made for made in _promotions(connection) if made.withdrawn_at is None]


def _champion(connection: sa.Connection) -> str | None:
    standing = _standing(connection)
    return standing[-1].model_version if standing else None


def _require_champion(connection: sa.Connection, expected: str | None) -> None:
    """Raises UserError where the champion has changed, since a comparison with another champion does not hold."""
    if (champion := _champion(connection)) != expected:
        raise UserError(
            f"another run has changed the champion meanwhile: it is {champion or 'none'}, not {expected or 'none'}; "
            "nothing was changed. Look at `cma models`, and run this again"
        )


def _json(value: Any) -> str:
    """Standard JSON: numbers that are not finite become null."""
    return json.dumps(json.loads(to_json(value)))
