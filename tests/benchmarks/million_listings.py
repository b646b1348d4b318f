"""Ingests a large feed four times: new, unchanged, with 1 % of its rows changed, and unchanged as Parquet.

    uv run python tests/benchmarks/million_listings.py --listings 1000000 --folder /somewhere/with/10/GB

Prints minutes, rows a second, and the peak memory of the ingesting process and of its largest worker, as Markdown.
"""

import argparse
import csv
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

COLUMNS = ["id", "product", "title", "image", "color", "pattern", "style"]
COLORS = ["Red", "Navy", "Black", "White", "Green", "Off-White", "Lilac"]
PATTERNS = ["Solid", "Striped", "Floral", "Paisley"]
STYLES = ["Maxi", "Mini", "Wrap"]
CONFIG = """\
home = "warehouse"

[feeds.many]
source = "{source}"
images = "."
columns = {{ listing_id = "id", title = "title", image = "image", product_id = "product" }}
labels = {{ color = "color", pattern = "pattern", style = "style" }}
"""
HEADING = """\
| ingest | time | rows/s | peak, ingest | peak, largest child | read = accepted + rejected | new / changed / unchanged \
| pictures worked / new |
|---|---|---|---|---|---|---|---|"""
CHILD = """
import json, resource, sys, time
from pathlib import Path
from flows.ingestion.ingest import ingest
from flows.project.project import Project
start = time.perf_counter()
(summary,) = ingest(Project.open(Path(sys.argv[1])))
took = time.perf_counter() - start
peak = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
counts = {name: getattr(summary, name) for name in
          ("read", "accepted", "rejected", "inserted", "updated", "unchanged", "pictures_worked", "pictures_new")}
print(json.dumps({"seconds": took, "peak": peak, **counts}))
"""


def make_pictures(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    for number in range(count):
        path = folder / f"{number:05d}.jpg"
        if not path.exists():
            coarse = Image.fromarray(rng.integers(0, 255, (10, 8, 3), dtype=np.uint8))
            coarse.resize((400, 500), Image.Resampling.BICUBIC).save(path, quality=88)


def rows(listings: int, pictures: int, *, changed_every: int = 0) -> Iterator[list[str]]:
    for n in range(listings):
        title = f"{COLORS[n % 7]} {PATTERNS[n % 4]} {STYLES[n % 3]} dress, model {n}"
        if changed_every and n % changed_every == 0:
            title += ", new season"
        yield [
            *(f"L{n:08d}", f"P{n // 3:08d}", title, f"pictures/{n % pictures:05d}.jpg"),
            *(COLORS[n % 7], PATTERNS[n % 4], STYLES[n % 3]),
        ]


def write_csv(path: Path, content: Iterator[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(content)


def ingest(folder: Path, source: str, what: str) -> None:
    config = folder / "cma.toml"
    config.write_text(CONFIG.format(source=source), encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", CHILD, str(config)], check=True, stdout=subprocess.PIPE, text=True)
    got = json.loads(done.stdout.splitlines()[-1])
    main, worker = got["peak"]
    print(
        f"| {what} | {got['seconds']:.0f} s | {got['read'] / got['seconds']:,.0f} | {main:,.0f} MB | {worker:,.0f} MB "
        f"| {got['read']:,} = {got['accepted']:,} + {got['rejected']:,} | {got['inserted']:,} / {got['updated']:,} / "
        f"{got['unchanged']:,} | {got['pictures_worked']:,} / {got['pictures_new']:,} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listings", type=int, default=1_000_000)
    parser.add_argument("--pictures", type=int, default=4_000, help="different files that the listings share")
    parser.add_argument("--folder", type=Path, required=True, help="a new or earlier folder of this benchmark")
    options = parser.parse_args()
    folder: Path = options.folder
    make_pictures(folder / "pictures", options.pictures)
    feed, changed = folder / "listings.csv", folder / "changed.csv"
    write_csv(feed, rows(options.listings, options.pictures))
    write_csv(changed, rows(options.listings, options.pictures, changed_every=100))
    pl.read_csv(changed, infer_schema=False).write_parquet(folder / "changed.parquet")
    print(f"{options.listings:,} listings, {options.pictures:,} pictures, {feed.stat().st_size / 1e6:,.0f} MB of CSV\n")
    print(HEADING, flush=True)
    start = time.perf_counter()
    ingest(folder, "listings.csv", "new")
    ingest(folder, "listings.csv", "unchanged")
    ingest(folder, "changed.csv", "1 % of titles changed")
    ingest(folder, "changed.parquet", "unchanged, as Parquet")
    shards = list((folder / "warehouse" / "pictures").glob("*.parquet"))
    print(f"\n{len(shards)} shards, {sum(s.stat().st_size for s in shards) / 1e6:,.0f} MB; "
          f"catalogue {(folder / 'warehouse' / 'work.duckdb').stat().st_size / 1e6:,.0f} MB; "
          f"{time.perf_counter() - start:.0f} s in all")  # fmt: skip


if __name__ == "__main__":
    main()
