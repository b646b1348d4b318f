"""The trained models and their evaluations, which of them tags (the champion), and the runs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import duckdb
import polars as pl
from pydantic_core import to_json

from catalog_io.catalog.database import Database, execute, insert, now
from catalog_io.catalog.model_records import ModelRow, Promotion, Registration, State
from catalog_io.catalog.tables import TABLES
from schemas.errors import UserError

_JSON = ("data", "config", "metrics", "comparison")


class ModelTables:
    """The part of `Catalog` for models and runs."""

    _database: Database

    def register_model(self, model: Registration, *, parent: str | None = None) -> None:
        """Adds or replaces a model. `parent` is the model whose weights it started from (None: the champion is recorded
        as its parent). The first model of a catalogue becomes its champion at once."""
        row = {name: _json(value) if name in _JSON else value for name, value in asdict(model).items()}
        with self._database.transaction() as connection:
            champion = _champion(connection)
            execute(connection, "delete from model_versions where model_version = $model_version", row)
            insert(connection, "model_versions", **row, created_at=now(), parent=parent or champion)
            if champion is None:
                _add_promotion(connection, model.model_version, None, "the first model")

    def record_comparison(self, version: str, comparison: Mapping[str, Any] | None, refused: str | None) -> None:
        """Stores a model's comparison with the champion, and why it was not promoted by itself (None: it may be)."""
        sql = "update model_versions set comparison = $comparison, refused = $refused where model_version = $version"
        found = _json(comparison) if comparison else None
        self._database.execute(sql, {"comparison": found, "refused": refused, "version": version})

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
            sql = "update promotions set withdrawn_at = $now where place = $place"
            execute(connection, sql, {"now": now(), "place": standing[-1].place})

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
            execute(connection, "delete from runs where run_id = $run_id", {"run_id": run_id})
            insert(connection, "runs", run_id=run_id, flow=flow, started_at=now(), state="running")

    def finish_run(self, run_id: str, state: str, summary: Mapping[str, Any]) -> None:
        """Stores a run's state and summary. UserError where the run was never started."""
        sql = """update runs set state = $state, finished_at = $now, summary = $summary where run_id = $run_id
                 returning run_id"""
        values = {"run_id": run_id, "state": state, "now": now(), "summary": _json(summary)}
        if self._database.execute(sql, values).is_empty():
            raise UserError(f"there is no run {run_id} to finish; start it first")

    def running(self) -> list[str]:
        """The ids of runs that have begun and not ended, as far as the catalogue knows."""
        return self._database.execute("select run_id from runs where state = 'running'")["run_id"].to_list()

    def mark_crashed(self, run_ids: Sequence[str]) -> None:
        """Gives running runs whose process is gone the state `crashed`."""
        sql = """update runs set state = 'crashed', summary = $summary
                 where state = 'running' and list_contains($ids, run_id)"""
        error = "its process ended without a word: it was killed, or the machine stopped"
        self._database.execute(sql, {"ids": list(run_ids), "summary": _json({"error": error})})

    def runs(self) -> pl.DataFrame:
        """run_id, flow, started_at, finished_at, state, summary (JSON text), the newest first."""
        return self._database.execute("select * from runs order by started_at desc, run_id")

    def store_evaluation(
        self, model_version: str, *, engine: str, split: str, data_hash: str, results: Mapping[str, Any]
    ) -> None:
        """Stores the results of a model on an engine and these very listings, in place of earlier ones."""
        key = {"model_version": model_version, "engine": engine, "split": split, "data_hash": data_hash}
        text = json.dumps(dict(results), allow_nan=False)
        with self._database.transaction() as connection:
            execute(connection, f"delete from evaluations where {' and '.join(f'{k} = ${k}' for k in key)}", key)
            insert(connection, "evaluations", **key, evaluated_at=now(), results=text)


def _models(connection: duckdb.DuckDBPyConnection) -> list[ModelRow]:
    champion, once = _champion(connection), {made.model_version for made in _promotions(connection)}

    def state(version: str, refused: str | None) -> State:
        if version in once:
            return "champion" if version == champion else "retired"
        return "refused" if refused else "candidate"

    columns = ", ".join(TABLES["model_versions"])
    rows = execute(connection, f"select {columns} from model_versions order by created_at desc, model_version")
    return [
        ModelRow(
            **{**row, **{name: json.loads(row[name]) if row[name] else None for name in _JSON}},
            state=state(row["model_version"], row["refused"]),
        )
        for row in rows.iter_rows(named=True)
    ]


def _promotions(connection: duckdb.DuckDBPyConnection) -> list[Promotion]:
    rows = execute(connection, f"select {', '.join(Promotion._fields)} from promotions order by place")
    return [Promotion(*row) for row in rows.iter_rows()]


def _add_promotion(connection: duckdb.DuckDBPyConnection, version: str, replaced: str | None, reason: str) -> None:
    promotion = Promotion(len(_promotions(connection)) + 1, version, replaced, reason, now(), None)
    insert(connection, "promotions", **promotion._asdict())


def _standing(connection: duckdb.DuckDBPyConnection) -> list[Promotion]:
    return [made for made in _promotions(connection) if made.withdrawn_at is None]


def _champion(connection: duckdb.DuckDBPyConnection) -> str | None:
    standing = _standing(connection)
    return standing[-1].model_version if standing else None


def _require_champion(connection: duckdb.DuckDBPyConnection, expected: str | None) -> None:
    """Raises UserError where the champion has changed, since a comparison with another champion does not hold."""
    if (champion := _champion(connection)) != expected:
        raise UserError(
            f"another run has changed the champion meanwhile: it is {champion or 'none'}, not {expected or 'none'}; "
            "nothing was changed. Look at `cma models`, and run this again"
        )


def _json(value: Any) -> str:
    """Standard JSON: numbers that are not finite become null."""
    return json.dumps(json.loads(to_json(value, inf_nan_mode="null")))
