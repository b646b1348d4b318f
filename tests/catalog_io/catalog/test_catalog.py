import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from catalog_io.catalog.catalog import Catalog
from schemas.errors import UserError
from tests.catalog_io.catalog.contents import counts, store
from tests.catalog_io.staged import TAXONOMY


@contextmanager
def other_process(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Runs `code` until it has printed a line; it then holds what it opened until it is killed."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "open\n"
        yield process
        process.kill()


def test_a_run_is_stored_with_its_state_and_summary(catalog: Catalog) -> None:
    catalog.start_run("r1", "ingest")
    catalog.start_run("r2", "tag-catalog")
    catalog.finish_run("r1", "completed", {"read": 3})
    done = {row["run_id"]: row for row in catalog.runs().rows(named=True)}
    assert (done["r1"]["state"], done["r1"]["summary"], done["r2"]["state"]) == (
        "completed",
        '{"read": 3}',
        "running",
    )
    assert timedelta(0) <= done["r1"]["finished_at"] - done["r1"]["started_at"] < timedelta(minutes=1)
    with pytest.raises(UserError, match="no run r9"):
        catalog.finish_run("r9", "completed", {})


def test_create_twice_keeps_everything(catalog: Catalog) -> None:
    store(catalog)
    catalog.create(TAXONOMY)
    assert catalog.counts()["listings"] == 3


def test_without_a_catalogue_the_error_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run `cma ingest` first"):
        Catalog(tmp_path).counts()
    assert not (tmp_path / "work.duckdb").exists()


def test_a_second_writer_waits(catalog: Catalog) -> None:
    entered, release = threading.Event(), threading.Event()

    def hold() -> None:
        with catalog._database.transaction():
            entered.set()
            release.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert entered.wait(10)
    threading.Timer(0.3, release.set).start()
    assert counts(store(Catalog(catalog.home))) == (3, 0, 0)
    holder.join()


def test_a_second_process_is_refused_and_a_killed_one_blocks_nobody(catalog: Catalog) -> None:
    code = """
import pathlib, sys, time
from catalog_io.catalog.database import Database
with Database(pathlib.Path(sys.argv[1]), 1.0).transaction():
    print("open", flush=True)
    time.sleep(60)
"""
    with other_process(code, catalog.home) as process:
        with pytest.raises(UserError, match="another cma run is writing"):
            Catalog(catalog.home, lock_timeout=0.2).counts()
        process.kill()
        assert counts(store(Catalog(catalog.home, lock_timeout=5))) == (3, 0, 0)


def test_another_program_with_the_file_open_is_named(catalog: Catalog) -> None:
    code = """
import duckdb, sys, time
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
time.sleep(60)
"""
    message = r"Close the other program.*catalog\.duckdb"
    with other_process(code, catalog.home / "work.duckdb"), pytest.raises(UserError, match=message):
        catalog.counts()
