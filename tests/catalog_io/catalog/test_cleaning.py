"""Secrets that an older version stored are gone once its catalogue is opened."""

import json
from pathlib import Path

import duckdb
import pytest

from catalog_io.catalog import cleaning
from catalog_io.catalog.catalog import Catalog
from tests.catalog_io.catalog.contents import dump, rows, store
from tests.catalog_io.staged import TAXONOMY

URL = "https://shop.example/a.jpg"
SHOWN = "https://shop.example/a.jpg?tk=S3CR3T&w=1"
OLD = {
    "listing_images": {"uri": SHOWN, "reason": f"{SHOWN} is no picture"},
    "picture_sources": {"reason": f"{SHOWN} is no picture"},
    "rejections": {"raw": json.dumps({"id": "", "image": "https://ann:S3CR3T@x/my a.jpg?S3CR3T"}), "reason": SHOWN},
    "runs": {"summary": json.dumps({"said": SHOWN})},
}


@pytest.fixture
def old(catalog: Catalog) -> Catalog:
    """A catalogue as versions stored it that showed queries, with a snapshot."""
    catalog.start_run("r1", "ingest")
    store(catalog)
    with duckdb.connect(str(catalog.home / "work.duckdb")) as connection:
        connection.execute("drop view doubtful_pictures")
        connection.execute("alter table listing_images drop column note")
        for table, texts in OLD.items():
            for column, text in texts.items():
                connection.execute(f"update {table} set {column} = ?", [text])
    catalog.publish()
    assert b"S3CR3T" in everything(catalog.home)
    return catalog


def everything(home: Path) -> bytes:
    return b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())


def test_a_catalogue_of_an_older_version_is_cleaned_when_it_is_opened(old: Catalog) -> None:
    counts = old.counts()
    Catalog(old.home).create(TAXONOMY)
    assert old.counts() == counts
    assert rows(old, "select distinct uri, reason from listing_images") == [(URL, f"{URL} is no picture")]
    assert rows(old, "select distinct reason from picture_sources") == [(f"{URL} is no picture",)]
    assert rows(old, "select raw, reason from rejections") == [('{"id": "", "image": "https://x/my a.jpg"}', URL)]
    assert rows(old, "select summary from runs") == [(json.dumps({"said": URL}),)]
    assert b"S3CR3T" not in everything(old.home)  # nor in free blocks of the files, nor in the snapshot
    assert not list(old.home.glob("*.wal"))


def test_it_is_cleaned_once(old: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    old.create(TAXONOMY)
    before = dump(old)
    monkeypatch.setattr(cleaning, "_clean", None)
    old.create(TAXONOMY)
    assert dump(old) == before


def test_a_run_that_is_killed_before_the_file_is_rewritten_cleans_again(
    old: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(cleaning, "replacing", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            old.create(TAXONOMY)
    old.create(TAXONOMY)
    assert b"S3CR3T" not in everything(old.home)
