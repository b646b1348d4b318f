"""Whole files, databases and settings that cannot be used, each with the words of its error message."""

import contextlib
import gzip
import io
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from schemas.errors import ConfigurationError, UserError
from tests.catalog_io.feeds.malformed.feeds import HEAD
from tests.catalog_io.feeds.malformed.pictures import PNG, flipped
from tests.catalog_io.feeds.malformed.rows import COLUMNS, GOOD
from tests.catalog_io.feeds.malformed.web import HOST


@dataclass(frozen=True)
class Broken:
    """`files` below {folder}; `said` is found in the error's message. `settings` are the feed's in cma.toml."""

    name: str
    files: Mapping[str, bytes]
    source: str
    said: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    error: type[UserError] = UserError


def _parquet(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"id": ["1"], "title": ["Dress"], "image": [GOOD]} | columns), out, compression="none")
    return out.getvalue()


def _parquet_twice() -> bytes:
    out = io.BytesIO()
    text = pa.array(["x"])
    pq.write_table(pa.Table.from_arrays([text] * 4, names=["id", "title", "image", "title"]), out)
    return out.getvalue()


def _sqlite(*statements: str) -> bytes:
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        for statement in ("create table listings (id, title, image)", *statements):
            database.execute(statement)
        database.commit()
        return database.serialize()


_ROWS = HEAD + b"".join(b"%d,Dress %d,good.jpg\n" % (n, n * 7919 % 10007) for n in range(5000))

_GZ, _ZST = gzip.compress(_ROWS), zstandard.ZstdCompressor(write_checksum=True).compress(_ROWS)

_PARQUET = _parquet(id=[str(n) for n in range(999)], title=[f"Dress {n}" for n in range(999)], image=[GOOD] * 999)

_JSON = b'{"id": 1, "title": "A", "image": ""}\n' * 99

_ALL = "select * from listings"

_NO_TITLE = "there is no column 'title'; the columns are: id, image"


def _one(name: str, file: str, content: bytes, said: str, **settings: Any) -> Broken:
    return Broken(name, {file: content}, f"{{folder}}/{file}", f"{re.escape(file)}: .*{said}", settings)


def _several(name: str, files: Mapping[str, bytes], glob: str, said: str) -> Broken:
    return Broken(name, files, f"{{folder}}/{glob}", said)


def _away(name: str, source: str, said: str, **settings: Any) -> Broken:
    return Broken(name, {}, source, said, settings)


def _sql(name: str, query: str, said: str, database: bytes | None = None) -> Broken:
    files = {"a.db": _sqlite() if database is None else database}
    return Broken(name, files, "sqlite:///{folder}/a.db", rf"feeds\.shop\.query: .*{said}", {"query": query})


def _setting(key: str, value: Any, said: str | None = None) -> Broken:
    said = said or rf"feeds\.shop\.{key}"
    return Broken(f"{key} {value}", {"a.csv": _ROWS}, "{folder}/a.csv", said, {key: value}, ConfigurationError)


FILES = [
    _one("CSV without a column", "a.csv", b"id,image\n1,good.jpg\n", _NO_TITLE),
    _one("TSV without a column", "a.tsv", b"id\timage\n1\tgood.jpg\n", _NO_TITLE),
    _one("JSON without a column", "a.jsonl", b'{"id": 1, "image": "good.jpg"}\n', _NO_TITLE),
    _one("Parquet without a column", "a.parquet", _parquet().replace(b"title", b"titel"), "no column 'title'"),
    _sql("SQL without a column", "select id, image from listings", _NO_TITLE),
    _one("CSV with a column twice", "a.csv", b"id,title,image,title\n", "two columns are called 'title'"),
    _one("TSV with a column twice", "a.tsv", b"id\ttitle\timage\tid\n", "two columns are called 'id'"),
    _one("Parquet with a column twice", "a.parquet", _parquet_twice(), "title"),
    _sql("SQL with a column twice", "select *, id from listings", "two columns are called 'id'"),
    _one("no label column", "a.csv", HEAD + b"1,Dress,good.jpg\n", "no column 'colour'", labels={"color": "colour"}),
    _one("an empty CSV", "a.csv", b"", "the file is empty"),
    _one("an empty TSV", "a.tsv", b"", "the file is empty"),
    _one("an empty Parquet file", "a.parquet", b"", "not a Parquet file"),
    _one("an empty gz", "a.csv.gz", b"", "empty|reading failed"),
    _one("blank lines", "a.csv", b"\n\r\n\n", "the file is empty"),
    _one("a header of blanks", "a.csv", b"   \n1,Dress,good.jpg\n", "no column 'id', 'title', 'image'"),
    _one("only a mark", "a.csv", b"\xef\xbb\xbf", "the file is empty"),
    _one("no header", "a.csv", b"1,Dress,good.jpg\n2,Coat,good.jpg\n", "no column 'id', 'title', 'image'"),
    _one("a header with an open quote", "a.csv", b'id,title,"image\n1,Dress,good.jpg\n', "never closed"),
    _one("an escape in the header", "a.csv", b"id,\x1b]0;name\x07,image\n", "no column 'title'"),
    _one("a web page as CSV", "a.csv", b"<!doctype html>\n<title>Login</title>\n", "this is a web page"),
    _one("a picture as CSV", "a.csv", PNG, "this is a PNG picture"),
    _one("Parquet as CSV", "a.csv", _PARQUET, "this is a Parquet file; call it .parquet"),
    _one("a damaged gz as CSV", "a.csv", flipped(_GZ, len(_GZ) // 2), "reading failed"),
    _one("UTF-16 without a mark", "a.csv", _ROWS.decode().encode("utf-16-le"), 'perhaps to "utf-16-le"'),
    _one("UTF-16BE without a mark", "a.csv", _ROWS.decode().encode("utf-16-be"), 'perhaps to "utf-16-be"'),
    _one("CSV as Parquet", "a.parquet", _ROWS, "not a Parquet file"),
    _one("a Parquet file cut short", "a.parquet", _PARQUET[: len(_PARQUET) // 2], "not a Parquet file"),
    _one("a Parquet file's end only", "a.parquet", b"PAR1" + _PARQUET[-300:], "not a Parquet file|damaged"),
    _one("a damaged Parquet page", "a.parquet", _PARQUET[:4] + b"\xff" * 999 + _PARQUET[1003:], "damaged"),
    _one("Parquet text that is none", "a.parquet", _parquet().replace(b"Dress", b"Dre\xff\xff"), "damaged"),
    _one("a nested id", "a.parquet", _parquet(id=[{"a": 1}]), r"'id' \(listing_id\) holds Struct"),
    _one("a list as id", "a.parquet", _parquet(id=[["1"]]), r"'id' \(listing_id\) holds List"),
    _one("fractions as id", "a.parquet", _parquet(id=[1.5]), r"'id' \(listing_id\) holds Float64"),
    _one("bytes as title", "a.parquet", _parquet(title=[b"x"]), r"'title' \(title\) holds Binary"),
    _one("a list as title", "a.parquet", _parquet(title=[["x"]]), r"'title' \(title\) holds List"),
    _one("pixels as image", "a.parquet", _parquet(image=[[0.5, 0.25]]), r"'image' \(image\) holds List\(Float64\)"),
    _one("a strange struct as image", "a.parquet", _parquet(image=[{"shade": "x"}]), r"'image' \(image\) holds Struct"),
    _one("a gz cut short", "a.csv.gz", _GZ[:-20], "reading failed"),
    _one("a damaged gz", "a.csv.gz", flipped(_GZ, len(_GZ) // 2), "reading failed"),
    _one("a gz with rubbish behind", "a.csv.gz", _GZ + b"rubbish", "reading failed"),
    _one("no gz", "a.csv.gz", PNG, "reading failed"),
    _one("a gz of JSON cut short", "a.jsonl.gz", gzip.compress(_JSON)[:-9], "reading failed"),
    _one("a zst cut short", "a.csv.zst", _ZST[:-20], "reading failed"),
    _one("a damaged zst", "a.csv.zst", flipped(_ZST, len(_ZST) // 2), "reading failed"),
    _one("no zst", "a.csv.zst", PNG, "reading failed"),
    _one("a spreadsheet", "a.xlsx", b"PK", r"a feed cannot be \.xlsx"),
    _one("a zip", "a.csv.zip", b"PK", r"a feed cannot be \.zip"),
    _one("packed Parquet", "a.parquet.gz", _GZ, r"a feed cannot be \.parquet"),
    _one("no ending and no text", "feed", b"\0\1\2", "a feed cannot be a file without a suffix"),
    _several("one of several without a column", {"1.csv": _ROWS, "2.csv": b"id,image\n"}, "*", f"2.csv: {_NO_TITLE}"),
    _several(
        "one of several cut short", {"1.csv.gz": _GZ, "2.csv.gz": _GZ[:-20]}, "*.gz", r"2\.csv\.gz: .*reading failed"
    ),
    _several("one of several of no kind", {"1.csv": _ROWS, "2.doc": b""}, "*", r"2\.doc: a feed cannot be \.doc"),
    _several("one of several empty", {"1.csv": _ROWS, "2.csv": b""}, "*.csv", r"2\.csv: the file is empty"),
    _several("a glob without a match", {"a.tsv": _ROWS}, "*.csv", r"feeds\.shop\.source: there is no file .*/\*\.csv"),
    _several("a folder", {"feed.csv/a.csv": _ROWS}, "feed.csv", "feed[.]csv cannot be opened: this is a folder"),
    _several("a folder of no ending", {"feed/a.csv": _ROWS}, "feed", "feed cannot be opened: this is a folder"),
    _away("an absent file", "{folder}/absent.csv", r"feeds\.shop\.source: there is no file .*absent\.csv"),
    _away("an absent folder", "{folder}/absent/a.csv", r"there is no file .*absent/a\.csv"),
    _away("an absent web host", f"http://{HOST}:1/feed.csv", r":1/feed\.csv cannot be opened"),
    _away("an absent web file", "{web}/absent.csv", "there is no file .*absent.csv"),
    _away("a web server that fails", "{web}/broken", "broken cannot be opened: .*500"),
    _away("a feed behind a login", "{web}/login", "login cannot be opened: .*check the credentials"),
    _away(
        "an absent database", "sqlite:///{folder}/a.db", r"feeds\.shop\.source: there is no file .*a\.db", query=_ALL
    ),
    _away("an absent DuckDB", "duckdb:///{folder}/a.duckdb", r"there is no file .*a\.duckdb", query=_ALL),
    _away("an absent server", f"postgresql://me@{HOST}:1/db", r"feeds\.shop\.query: .* does not answer", query=_ALL),
    _sql("no database", _ALL, r"a\.db does not answer it: .*not a database", b"x" * 5000),
    _sql("an empty database", _ALL, "no such table", b""),
    _sql("a syntax error", "selec * from listings", "does not answer it: .*syntax error"),
    _sql("an absent table", "select * from absent", "does not answer it: no such table: absent"),
    _sql("an unknown column", "select sku from listings", "does not answer it: no such column: sku"),
    _sql("a statement that writes", "delete from listings", "does not answer it: .*readonly"),
    _sql("a statement without rows", "begin", "returns no rows"),
    _sql(
        "a query that breaks off",
        "select id, title, json(image) as image from listings",
        "reading failed",
        _sqlite("insert into listings values (1, 'A', '{}'), (2, 'B', '{')"),
    ),
    _setting("query", _ALL),
    _setting("encoding", "klingon"),
    _setting("encoding", "rot13"),
    _setting("delimiter", "||"),
    _setting("delimiter", '"'),
    _setting("columns", {"listing_id": "id", "image": "image"}),
    _setting("columns", {**COLUMNS, "colour": "c"}),
    _setting("columns", {**COLUMNS, "listing_id": ["id", "title"]}),
    _setting("labels", {"taste": "title"}),
    _setting("source", "nosuch://host/feed", r"feeds\.shop\.source: neither .* knows nosuch"),
    Broken(
        "a database without a query",
        {"a.db": _sqlite()},
        "sqlite:///{folder}/a.db",
        r"feeds\.shop\.query: .*set the SQL",
        error=ConfigurationError,
    ),
    Broken(
        "a driver that is not there",
        {},
        "mysql://me@host/db",
        r"feeds\.shop\.source: the driver",
        {"query": _ALL},
        ConfigurationError,
    ),
    Broken(
        "an absent picture folder",
        {"a.csv": _ROWS},
        "{folder}/a.csv",
        "absent: there is no such folder",
        {"images": "absent"},
    ),
]
