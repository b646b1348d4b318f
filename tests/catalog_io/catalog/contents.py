"""Fills a catalogue with a few listings and tags, and reads its tables."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import md5
from pathlib import Path

import duckdb
import polars as pl

from catalog_io.catalog.catalog import Catalog
from catalog_io.catalog.feed_tables import Stored
from catalog_io.catalog.tag_tables import Collected, Rules
from schemas.frames import TAGGED
from tests.catalog_io.staged import feed_rows, store_rows

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def store(catalog: Catalog, ids: str = "abc", *, title: str = "Dress", run: str = "r1", feed: str = "hm") -> Stored:
    """One listing for each letter, and a row that is rejected. The feed holds changes only: nothing is gone."""
    good = [{"listing_id": i, "product_id": f"p{i}", "title": f"{title} {i}", "pictures": [f"{i}.jpg"]} for i in ids]
    rejected = {"listing_id": "", "title": "", "raw": "{}"}
    return store_rows(catalog, feed_rows(*good, rejected), feed=feed, run=run, full=False)


def counts(stored: Stored) -> tuple[int, int, int]:
    return stored.inserted, stored.updated, stored.unchanged


def input_hash(i: str, title: str = "Dress") -> str:
    return md5(f"{title} {i}\x1fimg-{i}.jpg".encode(), usedforsecurity=False).hexdigest()


def fingerprint(i: str, title: str = "Dress", color: str | None = "gray") -> str:
    parts = [input_hash(i, title), *([f"color={color}"] if color else []), "style=Midi"]
    return md5("\x1f".join(parts).encode(), usedforsecurity=False).hexdigest()


def part(
    folder: Path,
    name: str,
    ids: str,
    *,
    error: str | None = None,
    code: str = "tag_failed",
    title: str = "Dress",
    color: str = "gray",
    certificate: str = "c1",
) -> Path:
    promise = {"accepted": True, "certified": True, "provisional": False}
    none = {"accepted": False, "certified": False, "provisional": True}
    tags = [
        {"attribute": "color", "value": color, "confidence": 0.97, **promise, "image_weight": 0.4},
        {"attribute": "style", "value": "maxi", "confidence": 0.5, **none, "image_weight": 0.1},
    ]
    flags = [{"kind": "mismatch", "attribute": None, "score": 0.9, "detail": "far apart"}]
    rows = [
        {
            "feed": "hm",
            "listing_id": i,
            "input_hash": input_hash(i, title),
            "fingerprint": fingerprint(i, title),
            "certificate": certificate,
            "code": code if error else None,
            "error": error,
            "tags": [] if error else tags,
            "flags": [] if error else flags,
        }
        for i in ids
    ]
    path = folder / name
    pl.DataFrame(rows, schema=TAGGED).write_parquet(path)
    return path


def collect(
    catalog: Catalog, *files: Path, model: str = "m1", rules: Mapping[str, str] = {}, pooled: str = "r1"
) -> Collected:
    by = {"model_version": model, "engine": "torch", "rules": Rules(rules, pooled)}
    return catalog.store_tagged(files, **by, run_id="r2", tagged_at=NOON)


def untagged(catalog: Catalog, rules: Mapping[str, str] = {}, pooled: str = "r1") -> pl.DataFrame:
    return catalog.untagged(Rules(rules, pooled))


def rows(catalog: Catalog, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(catalog.home / "work.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def dump(catalog: Catalog) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables, without the times of writing."""
    tables = dict.fromkeys(catalog.counts(), "*")
    tables |= {
        "listings": "* exclude (updated_at)",
        "rejections": "* exclude (first_seen, last_seen)",
        "picture_sources": "* exclude (checked_at)",
    }
    return {name: rows(catalog, f"select {columns} from {name} order by all") for name, columns in tables.items()}
