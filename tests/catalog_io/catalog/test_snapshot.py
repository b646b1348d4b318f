import os
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest

from catalog_io.catalog.catalog import Catalog
from catalog_io.catalog.snapshot import query
from schemas.errors import UserError
from schemas.taxonomy import Taxonomy


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    catalog = Catalog(tmp_path / "it's a home")
    catalog.create(Taxonomy.from_dict({"color": {"values": ["red", "gray"]}}))
    return catalog


def runs(home: Path) -> list[str]:
    return query(home, "select run_id from runs order by all")["run_id"].to_list()


def test_a_reader_keeps_its_snapshot_while_a_new_one_is_published(catalog: Catalog) -> None:
    catalog.start_run("r1", "ingest")
    path = catalog.publish()
    assert path == catalog.home / "catalog.duckdb"
    with duckdb.connect(str(path), read_only=True) as reader:
        assert reader.execute("select run_id from runs").fetchall() == [("r1",)]
        catalog.start_run("r2", "tag")  # the reader does not block the writer …
        catalog.publish()
        assert reader.execute("select run_id from runs").fetchall() == [("r1",)]  # … and sees no half of a run
        assert runs(catalog.home) == ["r1", "r2"]  # also in the process of an old reader
    assert sorted(os.listdir(catalog.home)) == ["catalog.duckdb", "catalog.lock", "work.duckdb"]


def test_views_and_arrays_are_published(catalog: Catalog) -> None:
    catalog.publish()
    assert query(catalog.home, "from tagged_listings").columns == [
        "feed",
        "listing_id",
        "product_id",
        "title",
        "color",
    ]
    assert query(catalog.home, "select codes from rejections").schema["codes"] == pl.List(pl.String)


def test_a_killed_publication_leaves_the_old_snapshot_and_its_rest_is_removed(catalog: Catalog) -> None:
    catalog.publish()
    catalog.start_run("r1", "ingest")
    code = """
import os, pathlib, sys
from catalog_io.catalog.catalog import Catalog
os.replace = lambda *_: os.kill(os.getpid(), 9)  # dies between copying and replacing
Catalog(pathlib.Path(sys.argv[1])).publish()
"""
    assert subprocess.run([sys.executable, "-c", code, str(catalog.home)], check=False).returncode == -9
    assert len(list(catalog.home.glob(".catalog.duckdb.*.tmp"))) == 1
    assert runs(catalog.home) == []
    catalog.publish()
    assert runs(catalog.home) == ["r1"]
    assert not list(catalog.home.glob(".catalog.duckdb.*"))


def test_nothing_to_publish_or_published(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run `cma ingest` first"):
        Catalog(tmp_path).publish()
    with pytest.raises(UserError, match="run `cma ingest` first"):
        query(tmp_path, "select 1")


@pytest.mark.parametrize(
    "sql",
    [
        "delete from runs",
        "create table x (a int)",
        "select * from read_csv('/etc/passwd')",
        "select * from '/etc/passwd'",
        "copy runs to 'out.csv'",
        "attach 'other.duckdb'",
        "set enable_external_access = true",
        "install httpfs",
        "select color from nowhere",
        "select 1; select 2",
        "",
        "selec",
    ],
)
def test_a_query_reads_the_snapshot_and_nothing_else(catalog: Catalog, sql: str) -> None:
    catalog.publish()
    with pytest.raises(UserError):
        query(catalog.home, sql)


def test_a_failing_query_shows_the_message_of_duckdb(catalog: Catalog) -> None:
    catalog.publish()
    with pytest.raises(UserError, match="nowhere does not exist"):
        query(catalog.home, "select color from nowhere")
