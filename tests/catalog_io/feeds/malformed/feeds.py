"""A feed of each format, with malformed rows among good ones, and the same feed repaired."""

import contextlib
import csv
import gzip
import io
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tests.catalog_io.feeds.malformed.rows import (
    COLUMNS,
    CSV_ROWS,
    JSON_ROWS,
    LEGACY_ROWS,
    LOGICAL,
    PARQUET_ROWS,
    SPLIT_ROWS,
    SQL_ROWS,
    TSV_ROWS,
    WIDE_ROWS,
    Cells,
    Row,
    utf_16,
)


def _csv_row(row: Cells, delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    text = io.StringIO()
    pictures = row.pictures[0] if len(row.pictures) == 1 else json.dumps(row.pictures) if row.pictures else ""
    cells = [row.listing_id or "", row.title or "", pictures]
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="").writerow(cells)
    return text.getvalue().encode(encoding)


def _tsv_row(row: Cells) -> bytes:
    return _csv_row(row, "\t")


def _wide_row(row: Cells) -> bytes:
    return _csv_row(row, encoding="utf-16-le")


def _legacy_row(row: Cells) -> bytes:
    return _csv_row(row, ";", "windows-1252")


def _object(row: Cells) -> dict[str, Any]:
    return {"id": row.listing_id, "title": row.title, "image": list(row.pictures)}


def _json_row(row: Cells) -> bytes:
    return json.dumps(_object(row)).encode()


def _sql_row(row: Cells) -> tuple[str | None, str | None, str]:
    return row.listing_id, row.title, json.dumps(list(row.pictures))


def _write_csv(folder: Path, rows: Sequence[bytes]) -> None:
    """In two files: the second has what every format can express behind it."""
    first = len(rows) - 2 * len(CSV_ROWS)
    for name, part in (("1.csv", rows[:first]), ("2.csv", rows[first:])):
        (folder / name).write_bytes(b"\n".join([b"id,title,image", *part]))


def _write_text(name: str, head: bytes, end: bytes = b"\n") -> Callable[[Path, Sequence[bytes]], None]:
    def write(folder: Path, rows: Sequence[bytes]) -> None:
        (folder / name).write_bytes(head + end.join(rows))

    return write


def _write_packed(folder: Path, rows: Sequence[bytes]) -> None:
    (folder / "rows.tsv.gz").write_bytes(gzip.compress(b"\n".join([b"id\ttitle\timage", *rows])))


def _write_parquet(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    schema = {"id": pl.String(), "title": pl.String(), "image": pl.List(pl.String)}
    pl.DataFrame(rows, schema=schema).write_parquet(folder / "rows.parquet")


def _write_sql(folder: Path, rows: Sequence[str | tuple[str | None, str | None, str]]) -> None:
    path = folder / "rows.db"
    path.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("create table listings (id, title, image)")
        for row in rows:
            expression, values = (row, ()) if isinstance(row, str) else ("?, ?, ?", row)
            database.execute(f"insert into listings values ({expression})", values)


@dataclass(frozen=True)
class Feed:
    """Bad rows of one format with good ones before each. `settings` of cma.toml, {folder} for the feed's own."""

    name: str
    settings: Mapping[str, Any]
    bad: Sequence[Row]
    encode: Callable[[Cells], Any]
    write_contents: Callable[[Path, Sequence[Any]], None]

    @property
    def rows(self) -> list[Row]:
        good = [Row(f"good {n}", Cells(f"GOOD-{n}", f"A good dress {n}")) for n in range(len(self.bad))]
        rows = [row for pair in zip(good, self.bad, strict=True) for row in pair]
        return [row._replace(content=self._encoded(row.content)) for row in rows]

    def write(self, folder: Path) -> None:
        self.write_contents(folder, [row.content for row in self.rows])

    def write_healed(self, folder: Path) -> None:
        """The same with every bad row made good."""
        healed = [
            self.encode(Cells(f"healed-{n}", "Dress")) if row.codes else row.content for n, row in enumerate(self.rows)
        ]
        self.write_contents(folder, healed)

    def _encoded(self, content: Any) -> Any:
        return self.encode(content) if isinstance(content, Cells) else content


HEAD = b"id,title,image\n"


FEEDS = [
    Feed("csv", {"source": "{folder}/*.csv"}, LOGICAL + CSV_ROWS, _csv_row, _write_csv),
    Feed(
        "tsv",
        {"source": "{folder}/rows.tsv.gz"},
        LOGICAL + TSV_ROWS,
        _tsv_row,
        _write_packed,
    ),
    Feed(
        "jsonl",
        {"source": "{folder}/rows.jsonl", "columns": {**COLUMNS, "split": "part"}},
        LOGICAL + SPLIT_ROWS + JSON_ROWS,
        _json_row,
        _write_text("rows.jsonl", b""),
    ),
    Feed("parquet", {"source": "{folder}/rows.parquet"}, LOGICAL + PARQUET_ROWS, _object, _write_parquet),
    Feed(
        "sql",
        {"source": "sqlite:///{folder}/rows.db", "query": "select * from listings order by rowid"},
        LOGICAL + SQL_ROWS,
        _sql_row,
        _write_sql,
    ),
    Feed(
        "wide",
        {"source": "{folder}/rows.csv"},
        WIDE_ROWS,
        _wide_row,
        _write_text("rows.csv", HEAD.decode().encode("utf-16"), utf_16("\n")),
    ),
    Feed(
        "legacy",
        {"source": "{folder}/rows.txt", "encoding": "windows-1252", "delimiter": ";"},
        LEGACY_ROWS,
        _legacy_row,
        _write_text("rows.txt", b"id;title;image\n"),
    ),
]
