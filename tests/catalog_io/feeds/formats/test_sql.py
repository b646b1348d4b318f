"""Feeds from databases: PostgreSQL (really started), SQLite and DuckDB."""

import gc
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import psycopg
import pytest

from catalog_io.feeds.read import feed_shape, read_feed
from catalog_io.feeds.settings import FeedSettings
from schemas.errors import ConfigurationError, UserError

COLUMNS = {"listing_id": "id", "title": "name", "image": "pic"}
SECRET = "s3cret-w0rd"  # noqa: S105


def feed(source: str, query: str | None, labels: dict[str, str] | None = None, **columns: str) -> FeedSettings:
    return FeedSettings("shop", source, {**COLUMNS, **columns}, labels or {}, query=query)


def read(source: str, query: str, labels: dict[str, str] | None = None) -> pl.DataFrame:
    return pl.concat(read_feed(feed(source, query, labels)))


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The URL of a server of the tests' own, on a free port of the loopback."""
    initdb, pg_ctl = shutil.which("initdb"), shutil.which("pg_ctl")
    if not initdb or not pg_ctl:
        pytest.skip("PostgreSQL is not installed")
    # PostgreSQL refuses to run as root.
    user = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="cma-pg-"))
    try:
        (folder / "password").write_text(SECRET)
        if user:
            for path in (folder / "password", folder):
                shutil.chown(path, user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        data = str(folder / "data")

        def run(*command: str) -> None:
            subprocess.run(command, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=120)

        run(initdb, "-D", data, "-U", "shop", f"--pwfile={folder / 'password'}", "-A", "scram-sha-256", "-E", "UTF8")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        run(pg_ctl, "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
        try:
            yield f"postgresql+psycopg://shop:{SECRET}@127.0.0.1:{port}/postgres"
        finally:
            run(pg_ctl, "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def connections(url: str) -> int:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        for _ in range(50):
            row = connection.execute(
                "select count(*) from pg_stat_activity "
                "where backend_type = 'client backend' and pid <> pg_backend_pid()"
            ).fetchone()
            assert row is not None
            if row[0] == 0:
                break
            time.sleep(0.1)
        return int(row[0])


def test_postgres_rows(postgres: str) -> None:
    query = """
        select * from (values
          (1, 'Röd 100% :ny', array['a.jpg', ' ', 'b.jpg'], date '2026-01-02', 1.50, true, '{"a": [1]}'::jsonb),
          (2, null, null, null, 'NaN', false, null)
        ) as listings (id, name, pic, "when", price, is_new, extra) order by 1"""
    labels = {"a": "when", "b": "price", "c": "is_new"}
    got = read(postgres, query, labels)
    assert got["listing_id"].to_list() == ["1", "2"]
    assert got["title"].to_list() == ["Röd 100% :ny", None]
    assert [[p["uri"] for p in row] for row in got["pictures"]] == [["a.jpg", "b.jpg"], []]
    assert got.select("^label_word_.*$").rows() == [("2026-01-02", "1.50", "true"), (None, "NaN", "false")]
    assert json.loads(got["raw"][0]) == {
        **{"id": 1, "name": "Röd 100% :ny", "pic": ["a.jpg", " ", "b.jpg"], "when": "2026-01-02"},
        **{"price": "1.50", "is_new": True, "extra": {"a": [1]}},
    }
    assert connections(postgres) == 0
    assert read(postgres.replace("+psycopg", ""), query).height == 2
    assert feed_shape(feed(postgres, query)).columns[:3] == ["id", "name", "pic"]


def test_postgres_pictures_inside(postgres: str) -> None:
    query = r"select 1 as id, 'A' as name, array['\x01'::bytea, '\x02'] as pic, 'x'::bytea as other"
    got = read(postgres, query)
    assert got["pictures"].to_list() == [[{"uri": "", "data": b"\x01"}, {"uri": "", "data": b"\x02"}]]
    assert json.loads(got["raw"][0]) == {"id": 1, "name": "A"}


def test_postgres_is_streamed_and_left(postgres: str) -> None:
    endless = "select generate_series(1, 1000000000) as id, repeat('x', 1000) as name, 'p' as pic"
    began = time.monotonic()
    frames = read_feed(feed(postgres, endless))
    for _ in range(3):
        next(frames)
    assert time.monotonic() - began < 20
    del frames
    gc.collect()
    assert connections(postgres) == 0
    read_feed(feed(postgres, endless))  # never begun
    gc.collect()
    assert connections(postgres) == 0


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select 1 as id, 'A' as title, 'p' as pic", "no column 'name'; the columns are: id, title, pic"),
        ("select 1 as id, 'A' as name, 'p' as pic, 2 as id", "two columns are called 'id'"),
        ("select nonsense", 'column "nonsense" does not exist'),
        ("create table t (id int)", "does not answer it"),
        ("select 1 as id, pg_sleep(0)::text as name, 'p' as pic from nowhere", '"nowhere" does not exist'),
    ],
)
def test_postgres_faults_come_before_the_first_row(postgres: str, query: str, said: str) -> None:
    with pytest.raises(UserError) as fault:
        read_feed(feed(postgres, query))
    assert said in str(fault.value) and str(fault.value).startswith("feeds.shop.query: ")
    assert SECRET not in str(fault.value)
    gc.collect()
    assert connections(postgres) == 0


def test_a_query_that_fails_in_the_middle(postgres: str) -> None:
    query = "select n as id, (1 / (5000 - n))::text as name, 'p' as pic from generate_series(1, 9000) n"
    with pytest.raises(UserError, match=r"feeds\.shop\.query: reading failed: division by zero"):
        list(read_feed(feed(postgres, query)))
    assert connections(postgres) == 0


def test_a_database_that_cannot_be_reached(postgres: str) -> None:
    for wrong in (postgres.replace(SECRET, "wr0ng-w0rd"), f"postgresql://shop:{SECRET}@127.0.0.1:1/postgres"):
        with pytest.raises(UserError) as fault:
            read_feed(feed(wrong, "select 1"))
        assert "127.0.0.1" in str(fault.value)
        assert "w0rd" not in str(fault.value)


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    connection = sqlite3.connect(tmp_path / "my shop.db")
    connection.execute("create table listings (id, name, pic)")
    rows: list[tuple[Any, ...]] = [(n, f"title {n}", f"{n}.jpg") for n in range(5000)]
    rows += [(None, None, None), ("b", "B", b"jpeg"), (b"x", "B", "p"), (1.5, 2, '["p", "q"]')]
    connection.executemany("insert into listings values (?, ?, ?)", rows)
    connection.execute("insert into listings values (9, cast(x'61ff' as text), 'p')")
    connection.commit()
    connection.close()
    return f"sqlite:///{tmp_path}/my shop.db"


def test_sqlite(sqlite: str) -> None:
    frames = list(read_feed(feed(sqlite, "select * from listings order by rowid"), batch_rows=1000))
    assert max(frame.height for frame in frames) <= 1000
    got = pl.concat(frames)
    assert got["row_number"].to_list() == list(range(1, 5006))
    end = got.tail(5)
    assert end["listing_id"].to_list() == [None, "b", None, "1.5", None]
    assert end["title"].to_list() == [None, "B", None, "2", None]
    assert end["fault"].to_list() == [
        *(None, None, "the column 'id' holds bytes, where text is needed", None),
        "not UTF-8 text",
    ]
    assert end["pictures"].to_list() == [
        [],
        [{"uri": "", "data": b"jpeg"}],
        [],
        [{"uri": "p", "data": None}, {"uri": "q", "data": None}],
        [],
    ]
    assert [json.loads(raw) for raw in end["raw"]][1] == {"id": "b", "name": "B"}


def test_pictures_inside_bound_the_batches(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.execute("create table t (id, name, pic)")
    connection.executemany("insert into t values (?, 'A', zeroblob(2000000))", [(n,) for n in range(100)])
    connection.commit()
    connection.close()
    heights = [frame.height for frame in read_feed(feed(f"sqlite:///{tmp_path}/a.db", "select * from t"))]
    assert sum(heights) == 100
    assert max(heights) == 31


def test_duckdb(tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("""
            create table listings as select i as id, 'title ' || i as name, 12.5::decimal(5, 2) as price,
            [{'bytes': 'jpeg'::blob, 'path': 'p'}, {'bytes': null, 'path': 'q'}] as pic from range(20000) r (i)""")
    got = read(f"duckdb:///{path}", "select * from listings where name like '%title%' order by id", {"a": "price"})
    assert got.height == 20_000
    assert got["pictures"][7].to_list() == [{"uri": "p", "data": b"jpeg"}, {"uri": "q", "data": None}]
    assert got.row(7, named=True)["label_word_a"] == "12.50"
    with pytest.raises(UserError, match="read-only"):
        read_feed(feed(f"duckdb:///{path}", "delete from listings"))
    frames = read_feed(feed(f"duckdb:///{path}", "select * from listings"))
    next(frames)
    del frames
    with duckdb.connect(str(path)) as connection:  # not open any more
        connection.execute("delete from listings")
    assert Decimal(got["label_word_a"][0]) == Decimal("12.5")


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_wrong_name_makes_no_new_file(tmp_path: Path, kind: str) -> None:
    with pytest.raises(UserError, match=r"feeds\.shop\.source: there is no file .*none\.db"):
        read_feed(feed(f"{kind}:///{tmp_path}/none.db", "select 1"))
    assert list(tmp_path.iterdir()) == []


def test_a_feed_never_writes(sqlite: str) -> None:
    with pytest.raises(UserError, match="readonly"):
        read_feed(feed(sqlite, "delete from listings"))
    with pytest.raises(UserError, match="returns no rows"):
        read_feed(feed(sqlite, "pragma case_sensitive_like = 1"))


@pytest.mark.parametrize(
    ("source", "query", "said"),
    [
        (
            "postgresql+psycopg://me:s3cret-w0rd@db/shop",
            None,
            r"feeds\.shop\.query: postgresql\+psycopg://db/shop is a database",
        ),
        ("feed.csv", "select 1", r"feeds\.shop\.query: only a database"),
        ("s3://bucket/feed.csv", "select 1", r"feeds\.shop\.query: only a database"),
        (
            "nosuch://me:s3cret-w0rd@db/shop",
            None,
            r"feeds\.shop\.source: neither fsspec nor SQLAlchemy knows nosuch://",
        ),
        ("mysql+pymysql://me:s3cret-w0rd@db/shop", "select 1", r"not installed: install the package pymysql"),
        ("postgresql+psycopg2://me:s3cret-w0rd@db/shop", "select 1", r"install cma-tagger\[postgres\]"),
        ("post gres://me:s3cret-w0rd@db/shop", "select 1", r"feeds\.shop\.source: "),
    ],
)
def test_settings_that_do_not_belong_together(source: str, query: str | None, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as fault:
        read_feed(feed(source, query))
    assert "s3cret" not in str(fault.value)
