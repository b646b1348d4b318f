"""The project file of malformed feeds, and the content of its catalogue."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from tests.catalog_io.feeds.malformed.pictures import MAX_BYTES
from tests.catalog_io.feeds.malformed.rows import COLUMNS
from tests.catalog_io.feeds.malformed.web import HOST

PROJECT = f"""\
[fetch]
timeout = 8  # seconds: a machine that is busy with other tests answers slowly, too
max_bytes = {MAX_BYTES}
allow_private = ["{HOST}"]
"""


def toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value)


def feed_section(name: str, settings: Mapping[str, Any]) -> str:
    lines = [f"{key} = {toml(value)}" for key, value in ({"columns": COLUMNS} | dict(settings)).items()]
    return "\n".join([f"[feeds.{name}]", *lines, ""])


def filled(settings: Mapping[str, Any], **places: object) -> dict[str, Any]:
    """With {folder} and {web} in their texts filled in."""

    def fill(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        for place, where in places.items():
            value = value.replace(f"{{{place}}}", str(where))
        return value

    return {key: fill(value) for key, value in settings.items()}


def tables(home: Path) -> dict[str, pl.DataFrame]:
    """The whole catalogue, views too."""
    with duckdb.connect(str(home / "work.duckdb"), read_only=True) as connection:
        names = connection.execute("select table_name from information_schema.tables").fetchall()
        return {name: connection.execute(f'select * from "{name}" order by all').pl() for (name,) in names}
