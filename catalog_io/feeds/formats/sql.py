"""Reads the rows of an SQL query as a feed, batch by batch."""

import json
import math
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import fsspec
import polars as pl
import sqlalchemy as sa

from catalog_io.feeds.columns import BATCH_BYTES, FeedColumns, FeedShape, Unreadable
from catalog_io.feeds.paths import value_at
from catalog_io.feeds.picture_cells import is_unicode
from catalog_io.feeds.settings import FeedSettings
from schemas.errors import ConfigurationError, UserError
from schemas.secrets import redacted

_FIRST_ROWS = 16  # of the first batch, which gives the size of a row: megabytes, where it contains pictures


def is_database(feed: FeedSettings) -> bool:
    """Whether the source is a SQLAlchemy URL; ConfigurationError for a database without `query` or a file with one."""
    scheme, has_scheme, _ = feed.source.partition("://")
    key = f"feeds.{feed.name}"
    if not has_scheme or "::" in scheme or scheme in fsspec.available_protocols():
        if feed.query:
            raise ConfigurationError(f"{key}.query: only a database has queries, and {key}.source names a file")
        return False
    _dialect(_url(feed), feed)
    if not feed.query:
        raise ConfigurationError(f"{key}.query: {redacted(feed.source)} is a database; set the SQL that reads the feed")
    return True


class SqlQuery:
    """The rows of a query, streamed. The connection is closed after the last row, or with this object."""

    def __init__(self, feed: FeedSettings, columns: FeedColumns | None) -> None:
        self.columns = columns
        self.shown = f"feeds.{feed.name}.query"
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(_connected(_url(feed), feed))
                self._result = stack.enter_context(closing(connection.exec_driver_sql(feed.query or "")))
            except (sa.exc.SQLAlchemyError, ValueError) as fault:
                raise UserError(
                    f"{self.shown}: {redacted(feed.source)} does not answer it: {_reason(fault)}"
                ) from fault
            if not self._result.returns_rows:
                raise UserError(f"{self.shown}: it returns no rows; write one that does, such as `select … from …`")
            self.shape = FeedShape(list(self._result.keys()))
            if columns:
                columns.check(self.shape.columns, self.shown)
            self._open = stack.pop_all()
        weakref.finalize(self, self._open.close)

    def frames(self, batch_rows: int) -> Iterator[pl.DataFrame]:
        assert self.columns is not None
        with self._open:
            size = min(_FIRST_ROWS, batch_rows)
            while rows := self._fetched(size):
                yield self._frame(rows, self.columns)
                row_bytes = sum(len(cell) for row in rows for cell in row if isinstance(cell, str | bytes)) / len(rows)
                size = min(batch_rows, 4 * size, max(1, int(BATCH_BYTES / max(1, row_bytes))))

    def _fetched(self, size: int) -> Sequence[Sequence[Any]]:
        try:
            return self._result.fetchmany(size)
        except Exception as fault:  # drivers raise errors of their own, as does the conversion to Python values
            raise UserError(f"{self.shown}: reading failed: {_reason(fault)}") from fault

    def _frame(self, rows: Sequence[Sequence[Any]], columns: FeedColumns) -> pl.DataFrame:
        values = [dict(zip(self.shape.columns, map(_json_value, row), strict=True)) for row in rows]
        raws: list[str | None] = []
        bad = {}
        for index, row in enumerate(values):
            raw, fault = _checked(row, columns)
            if fault is not None:
                bad[index] = Unreadable(json.loads(raw), fault)
                values[index] = {}
            raws.append(raw if fault is None else None)
        return columns.frame_of_values(values, raws, bad)


def _checked(row: Mapping[str, Any], columns: FeedColumns) -> tuple[str, str | None]:
    """The row as JSON without its bytes, and why the row cannot be read (None: it can)."""
    fault = None
    try:
        raw = json.dumps(row, ensure_ascii=False)
    except TypeError:
        raw = json.dumps({name: value for name, value in row.items() if not _has_bytes(value)}, ensure_ascii=False)
        if wrong := [name for name in columns.text_names if _has_bytes(value_at(row, name))]:
            fault = f"the column {wrong[0]!r} holds bytes, where text is needed"
    return raw, fault if is_unicode([raw]) else "not UTF-8 text"


def _json_value(value: Any) -> Any:
    """The database's value as JSON has it; bytes stay bytes."""
    if isinstance(value, str | int | bytes | None):
        return value
    match value:
        case float():
            return value if math.isfinite(value) else None
        case list() | tuple() | set():
            return [_json_value(item) for item in value]
        case dict():
            return {str(key): _json_value(item) for key, item in value.items()}
        case bytearray() | memoryview():
            return bytes(value)
        case _:
            return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _has_bytes(value: Any) -> bool:
    if isinstance(value, list | dict):
        return any(map(_has_bytes, value.values() if isinstance(value, dict) else value))
    return isinstance(value, bytes)


def _url(feed: FeedSettings) -> sa.URL:
    try:
        url = sa.make_url(feed.source)
    except (sa.exc.ArgumentError, ValueError) as fault:
        raise ConfigurationError(
            f"feeds.{feed.name}.source: {redacted(feed.source)} is neither a path nor a URL of files or of a database"
        ) from fault
    return url.set(drivername="postgresql+psycopg") if url.drivername in ("postgresql", "postgres") else url


def _dialect(url: sa.URL, feed: FeedSettings) -> type[sa.Dialect]:
    try:
        return url.get_dialect()
    except sa.exc.ArgumentError as fault:
        raise ConfigurationError(
            f"feeds.{feed.name}.source: neither fsspec nor SQLAlchemy knows {url.drivername}://; "
            "correct it, or install the package that provides it"
        ) from fault


def _connected(url: sa.URL, feed: FeedSettings) -> sa.Connection:
    kind = _dialect(url, feed).name
    options: dict[str, Any] = {"stream_results": True, "no_parameters": True}  # % and : in the SQL mean themselves
    if kind == "postgresql":
        options["postgresql_readonly"] = True
    arguments: dict[str, Any] = {}
    if kind in ("sqlite", "duckdb") and (file := _file(url)) is not None:
        if not file.is_file():
            raise UserError(f"feeds.{feed.name}.source: there is no file {file}; correct the path in cma.toml")
        if kind == "duckdb":
            arguments["read_only"] = True
        else:
            # Outside its read-only mode, SQLite would create a file that does not exist.
            url = url.set(database=f"file:{quote(str(file))}", query={**url.query, "mode": "ro", "uri": "true"})
    try:
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool, connect_args=arguments)
    except ImportError as fault:
        package = "cma-tagger[postgres]" if kind == "postgresql" else f"the package {fault.name}"
        raise ConfigurationError(
            f"feeds.{feed.name}.source: the driver of {url.drivername}:// is not installed: install {package}"
        ) from fault
    connection = engine.connect().execution_options(**options)
    if kind == "sqlite":
        raw: Any = connection.connection.dbapi_connection
        raw.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
    return connection


def _file(url: sa.URL) -> Path | None:
    """The file of a SQLite or DuckDB database; None for one in memory or in the cloud."""
    name = (url.database or "").removeprefix("file:")
    return None if name in ("", ":memory:") or name.startswith("md:") else Path(name).absolute()


def _reason(fault: BaseException) -> str:
    return redacted(str(getattr(fault, "orig", None) or fault))
