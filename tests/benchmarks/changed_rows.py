"""Ingests real feeds three times: new, unchanged, and with 1 % of their rows changed, with the exact counts.

    uv run python tests/benchmarks/changed_rows.py --data ../shared/data --folder /somewhere/new

Needs `hm/` and `myntra/` below --data; writes nothing there.
"""

import argparse
import csv
import shutil
import time
from pathlib import Path

import polars as pl

from flows.ingestion.ingest import ingest
from flows.project.project import Project

EVERY = 100
HEADING = """\
| ingest | feed | time | read = accepted + rejected | new / changed / unchanged | pictures worked / new |
|---|---|---|---|---|---|"""
EXAMPLE = Path(__file__).parents[2] / "deploy" / "examples" / "two-merchants"


def link(data: Path, folder: Path) -> None:
    shutil.copytree(EXAMPLE, folder)
    (folder / "hm").mkdir()
    (folder / "hm" / "images").symlink_to(data / "hm" / "images")
    shutil.copy(data / "hm" / "listings.csv", folder / "hm" / "listings.csv")
    shutil.copytree(data / "myntra", folder / "myntra")
    text = (folder / "cma.toml").read_text(encoding="utf-8")
    # The folder of this benchmark only links to the pictures, and links may not lead out of a feed's root.
    (folder / "cma.toml").write_text(text.replace('images = "hm"', f'images = "{data / "hm"}"'), encoding="utf-8")


def change(folder: Path) -> dict[str, int]:
    """Edits every 100th title; returns how many rows of each feed that is."""
    listings = folder / "hm" / "listings.csv"
    with listings.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    changed = rows[::EVERY]
    for row in changed:
        row["prod_name"] += " (new)"
    with listings.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    edited = 0
    for path in sorted((folder / "myntra").glob("*.parquet")):
        frame = pl.read_parquet(path).with_row_index("row")
        this = pl.col("row") % EVERY == 0
        edited += frame.select(this.sum()).item()
        title = pl.when(this).then(pl.col("productDisplayName") + " (new)").otherwise("productDisplayName")
        frame.with_columns(productDisplayName=title).drop("row").write_parquet(path)
    return {"hm": len(changed), "myntra": edited}


def run(folder: Path, what: str) -> None:
    for feed in ("hm", "myntra"):
        start = time.perf_counter()
        (s,) = ingest(Project.open(folder / "cma.toml"), [feed])
        took = time.perf_counter() - start
        print(
            f"| {what} | {feed} | {took:.1f} s | {s.read:,} = {s.accepted:,} + {s.rejected:,} | "
            f"{s.inserted:,} / {s.updated:,} / {s.unchanged:,} | {s.pictures_worked:,} / {s.pictures_new:,} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="must not be there yet")
    options = parser.parse_args()
    link(options.data.resolve(), options.folder)
    print(HEADING)
    run(options.folder, "new")
    run(options.folder, "unchanged")
    expected = change(options.folder)
    run(options.folder, f"1 % of titles changed ({expected['hm']} and {expected['myntra']})")


if __name__ == "__main__":
    main()
