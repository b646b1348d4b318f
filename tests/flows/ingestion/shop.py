"""A shop of three listings with real picture files, its ingests, and what they store."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from PIL import Image

from flows.ingestion.ingest import FeedSummary, ingest
from flows.project.project import Project

CONFIG = """\
[feeds.shop]
source = "{source}"
images = "."
columns = {{ listing_id = "id", title = "title", image = "image" }}
labels = {{ color = "color" }}
"""


def picture(path: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((300, 400)).save(path, "JPEG")


def write_feed(folder: Path, rows: list[Mapping[str, str]]) -> None:
    with (folder / "feed.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["id", "title", "image", "color"])
        writer.writeheader()
        writer.writerows({"title": f"Dress {row['id']}", "image": "a.jpg", "color": "red"} | row for row in rows)


def make_shop(tmp_path: Path) -> Path:
    """Writes a project over three listings; `C` has two pictures."""
    for seed, name in enumerate(("a", "b", "c")):
        picture(tmp_path / f"{name}.jpg", seed)
    rows = [{"id": "A"}, {"id": "B", "image": "b.jpg"}, {"id": "C", "image": '["c.jpg", "a.jpg"]'}]
    write_feed(tmp_path, rows)
    (tmp_path / "cma.toml").write_text(CONFIG.format(source="feed.csv"), encoding="utf-8")
    return tmp_path


def run(folder: Path) -> FeedSummary:
    (summary,) = ingest(Project.open(folder / "cma.toml"))
    return summary


def outcome(summary: FeedSummary) -> tuple[int, int, int, int, int]:
    return summary.inserted, summary.updated, summary.unchanged, summary.pictures_worked, summary.pictures_new


def change(folder: Path, sql: str) -> None:
    """Changes the catalogue behind the program's back."""
    with duckdb.connect(str(folder / "warehouse" / "work.duckdb")) as connection:
        connection.execute(sql)


def select(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / "warehouse" / "work.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def content(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All that an ingest stores, but for times, run ids and the random names of shards."""
    without = "* exclude ({})"
    columns = {
        "listings": without.format("run_id, updated_at"),
        "listing_images": "*",
        "images": without.format("shard"),
        "picture_sources": "feed, key, root, picture_size, pixel_rules, stamp, image_hash, code, reason, note",
        "labels": "*",
        "rejections": without.format("run_id, first_seen, last_seen"),
    }
    return {table: select(folder, f"select {what} from {table} order by all") for table, what in columns.items()}
