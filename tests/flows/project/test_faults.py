"""Faults of the machine end in one sentence with the way out, from whatever library they come. Disks are really full,
and really read-only, where this process may mount a small one."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from catalog_io.catalog.catalog import Catalog
from catalog_io.catalog.snapshot import query
from flows.project.faults import explained
from flows.project.runs import recorded
from schemas.errors import UserError
from schemas.files import write_parquet, write_whole
from schemas.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_dict({"color": {"values": ["red", "gray"]}})


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a disk of the test's own with these options; skips where that is not allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("this process may not mount disks")
        return folder

    yield mount
    subprocess.run(["umount", str(folder)], check=False, capture_output=True)


def told(work: Callable[[], object]) -> str:
    with pytest.raises(Exception) as raised:
        work()
    found = explained(raised.value)
    assert found, f"{raised.type}: {raised.value}"
    return str(found)


def test_a_full_disk_is_named_whoever_writes(disk: Callable[[str], Path]) -> None:
    folder = disk("size=256k")
    big = pl.DataFrame({"data": [os.urandom(10_000) for _ in range(100)]})
    for work in (
        lambda: write_parquet(folder / "a.parquet", big),
        lambda: write_whole(folder / "a.json", "x" * 1_000_000),
        lambda: pl.DataFrame({"number": range(100_000)}).write_csv("/dev/full"),
    ):
        assert "the disk is full. Free some space" in told(work)
    assert not list(folder.glob(".a*"))  # nothing half-written is left


@pytest.mark.parametrize("kilobytes", [4, 50, 150, 300, 500, 800, 1200, 1700, 2300, 3000])
def test_a_disk_that_fills_up_leaves_a_whole_catalogue_and_snapshot(
    disk: Callable[[str], Path], kilobytes: int
) -> None:
    home = disk("size=20m")
    catalog = Catalog(home)
    catalog.create(TAXONOMY)
    catalog.publish()
    (home / "ballast").write_bytes(bytes(shutil.disk_usage(home).free - kilobytes * 1024))
    published = 0
    for number in range(400):
        try:
            with recorded(catalog, f"flow-{number}") as run:
                run.summary["text"] = "".join(chr(33 + (n * n * number) % 90) for n in range(20_000))
            catalog.publish()
            published = number + 1
        except Exception as fault:
            assert "the disk is full" in str(explained(fault)), repr(fault)
            break
        assert query(home, "select count(*) from runs where state = 'completed'").item() == published
    else:
        pytest.fail("the disk was never full")
    assert query(home, "select count(*) from runs where state = 'completed'").item() == published
    (home / "ballast").unlink()
    with recorded(catalog, "afterwards"):
        pass
    catalog.publish()
    assert query(home, "select count(*) from runs where state = 'completed'").item() >= published + 1


def test_a_read_only_home_can_be_read_and_says_that_it_cannot_be_written(disk: Callable[[str], Path]) -> None:
    home = disk("size=20m")
    catalog = Catalog(home)
    catalog.create(TAXONOMY)
    with recorded(catalog, "nightly"):
        pass
    catalog.publish()
    subprocess.run(["mount", "-o", "remount,ro", str(home)], check=True, capture_output=True)
    catalog = Catalog(home)
    catalog.create(TAXONOMY)
    assert catalog.runs()["flow"].to_list() == ["nightly"]
    assert catalog.models() == []
    with pytest.raises(UserError, match="cannot be written"):
        catalog.require_writable()
    assert "the file system is read-only" in told(lambda: write_whole(home / "a", "b"))


def test_a_damaged_catalogue_is_restored_from_the_last_publication(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    catalog.create(TAXONOMY)
    with recorded(catalog, "nightly"):
        pass
    catalog.publish()
    path = tmp_path / "work.duckdb"
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = bytes(len(content) - 4096 * 2)
    path.write_bytes(content)
    assert "copy catalog.duckdb there to work.duckdb" in told(catalog.runs)
    path.write_bytes(b"nonsense" * 1000)
    assert "copy catalog.duckdb there to work.duckdb" in told(catalog.runs)
    path.unlink()
    shutil.copy(tmp_path / "catalog.duckdb", path)
    assert catalog.runs()["flow"].to_list() == ["nightly"]


def test_a_mistake_of_the_program_is_not_explained() -> None:
    assert explained(KeyError("color")) is None
    assert explained(KeyboardInterrupt()) is None
    assert "memory" in str(explained(MemoryError()))
