"""What models scored on held-out listings, kept so that models and nights can be compared later."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from catalog_io.catalog.tables import EVALUATIONS


def store(
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
