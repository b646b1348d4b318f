"""Nights that are killed at random moments, beside a shadow that is never disturbed; all tables are compared.

    uv run python tests/soak.py --minutes 10 --seed 1

Makes a small project with a barely trained model (two minutes, once), or copies the one that --project names. Each
night changes both catalogues in the same way: rows that are new, changed, gone, relabelled or broken, in two feeds. The
shadow runs its night undisturbed. Then the other runs its own, in which the whole group, the driver or a worker is
killed. A reader loops over its published snapshot. After each night, every table must be equal to the shadow's.
"""

import argparse
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import psutil

from catalog_io.catalog.snapshot import query
from flows.project.project import Project

NIGHT = """
import sys
from pathlib import Path
from flows.nightly import nightly
from flows.project.project import Project
nightly(Project.open(Path(sys.argv[1])))
"""
TABLES = {
    "listings": "* exclude (run_id, updated_at, inactive_since), inactive_since is null as active",
    "listing_images": "*",
    "images": "* exclude (shard)",
    "labels": "*",
    "rejections": "* exclude (run_id, first_seen, last_seen)",
    "tags": "* exclude (run_id, tagged_at)",
    "noise_flags": "* exclude (run_id)",
    "tag_history": "* exclude (run_id, changed_at)",
    "flag_history": "* exclude (run_id, changed_at)",
}
WHOLE = """
    select count(*) = count(distinct (feed, listing_id, attribute))
        and count(*) = 3 * count(distinct (feed, listing_id)) from tags
"""
SECOND_FEED = """
[feeds.other]
source = "catalogue/other.csv"
images = "catalogue"
columns = { listing_id = "listing_id", title = "title", image = "image", product_id = "product_id" }
labels = { color = "color" }
"""


class Reader(Thread):
    """Reads the snapshot of a project again and again, and counts what it sees."""

    def __init__(self, home: Path) -> None:
        super().__init__(daemon=True)
        self.home, self.counts, self.ended = home, Counter[str](), Event()

    def run(self) -> None:
        while not self.ended.wait(0.05):
            try:
                self.counts["reads" if query(self.home, WHOLE).item() else "half states"] += 1
            except Exception as fault:
                print(f"unreadable snapshot: {fault}", flush=True)
                self.counts["unreadable"] += 1


def make_project(folder: Path) -> Path:
    """A project with a model, of 300 listings of the sample catalogue."""
    from catalog_io.sample.catalogue import make_sample
    from flows.experiments.demo import CONFIG
    from flows.ingestion.ingest import ingest
    from flows.modelling.compile import compile_champion
    from flows.modelling.train import train
    from tests.conftest import BARELY_TRAINED

    make_sample(folder / "catalogue", listings=300, seed=3)
    config = folder / "cma.toml"
    config.write_text(CONFIG.partition("[model]")[0] + BARELY_TRAINED, encoding="utf-8")
    project = Project.open(config)
    ingest(project)
    train(project)
    compile_champion(project)
    return config


def read(feed: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(feed.read_text(encoding="utf-8").splitlines()))


def write(feed: Path, rows: list[dict[str, str]]) -> None:
    with feed.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def change(rows: list[dict[str, str]], night: int, generator: np.random.Generator) -> list[dict[str, str]]:
    """The rows of the next night."""
    kept = []
    for row in rows:
        match generator.choice(["same", "gone", "title", "label", "broken"], p=[0.88, 0.02, 0.05, 0.04, 0.01]):
            case "gone":
                continue
            case "title":
                row = row | {"title": f"{row['title']} {night}"}
            case "label":
                row = row | {"color": str(generator.choice(["Red", "Blue", "mixed", ""]))}
            case "broken":
                row = row | {"title": ""}
        kept.append(row)
    new = [
        row | {"listing_id": f"N{night}-{number}", "title": f"New {row['title']}"}
        for number, row in enumerate(generator.choice(rows, 8))  # type: ignore[arg-type]
    ]
    return kept + new


def start(config: Path) -> subprocess.Popen[bytes]:
    log = (config.parent / "night.log").open("ab")
    with log:
        return subprocess.Popen(
            [sys.executable, "-c", NIGHT, str(config)], start_new_session=True, stdout=log, stderr=log
        )


def finish(config: Path) -> None:
    """Runs a night to its end."""
    if (code := start(config).wait(timeout=600)) != 0:
        print((config.parent / "night.log").read_text(encoding="utf-8")[-3000:])
        raise SystemExit(f"{config}: a night that nobody disturbed failed ({code})")


def kill(process: subprocess.Popen[bytes], generator: np.random.Generator) -> str:
    """Kills the group, the driver or a worker; returns which."""
    what = str(generator.choice(["group", "driver", "worker"]))
    try:
        workers = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return "nothing"
    if what == "worker" and workers:
        workers[generator.integers(len(workers))].kill()
        return what
    if what == "group":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    return what if what == "group" else "driver"


def disturbed_night(config: Path, seconds: float, generator: np.random.Generator, kills: Counter[str]) -> None:
    """Runs a night that is killed up to four times, then one to the end."""
    for _ in range(4):
        process = start(config)
        try:
            process.wait(timeout=generator.uniform(0.2, 1.1) * seconds)
        except subprocess.TimeoutExpired:
            kills[what := kill(process, generator)] += 1
            if what == "worker":
                process.wait(timeout=600)
        if process.returncode == 0:
            return
    finish(config)


def differences(config: Path, shadow: Path) -> dict[str, int]:
    """The number of rows of each table that only one of the two has."""
    found = {}
    for table, columns in TABLES.items():
        ours, theirs = (query(Project.open(c).home, f"select {columns} from {table}") for c in (config, shadow))
        keys = [name for name in ours.columns if name != "codes"]
        one, other = (
            ours.join(theirs, on=keys, how="anti", nulls_equal=True),
            theirs.join(ours, on=keys, how="anti", nulls_equal=True),
        )
        if count := one.height + other.height + abs(ours.height - theirs.height):
            found[table] = count
            print(table, one, other, sep="\n", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--project", type=Path, help="the folder of a project with a compiled model; it is copied")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        source = asked.project or make_project(folder / "source").parent
        result = soak(source, folder, minutes=asked.minutes, generator=np.random.default_rng(asked.seed))
    print(json.dumps(result, indent=1))
    if result["rows that differ"] or result["half states"] or result["unreadable"]:
        raise SystemExit(1)


def soak(source: Path, folder: Path, *, minutes: float, generator: np.random.Generator) -> dict[str, Any]:
    """Runs nights in copies of the project `source` for so many minutes; returns the counts."""
    base = Path(shutil.copytree(source, folder / "base"))
    feeds = {name: read(base / "catalogue" / "listings.csv") for name in ("listings", "other")}
    feeds["other"] = [row | {"listing_id": f"O{row['listing_id']}"} for row in feeds["other"][:60]]
    write(base / "catalogue" / "other.csv", feeds["other"])
    with (base / "cma.toml").open("a", encoding="utf-8") as file:
        file.write(SECOND_FEED)
    finish(base / "cma.toml")
    config, shadow = (Path(shutil.copytree(base, folder / copy)) / "cma.toml" for copy in ("disturbed", "shadow"))
    reader, kills, nights, different = Reader(Project.open(config).home), Counter[str](), 0, Counter[str]()
    reader.start()
    end = time.monotonic() + minutes * 60
    while time.monotonic() < end:
        nights += 1
        for feed, rows in feeds.items():
            feeds[feed] = change(rows, nights, generator)
            for each in (config, shadow):
                write(each.parent / "catalogue" / f"{feed}.csv", feeds[feed])
        began = time.monotonic()
        finish(shadow)
        seconds = time.monotonic() - began
        disturbed_night(config, seconds, generator, kills)
        different.update(differences(config, shadow))
        print(f"night {nights}: {seconds:.0f} s, {kills.total()} kills, {different.total()} rows differ", flush=True)
    reader.ended.set()
    reader.join()
    counts = {name: reader.counts[name] for name in ("reads", "half states", "unreadable")}
    return {"nights": nights, "kills": dict(kills), "rows that differ": dict(different), **counts}


if __name__ == "__main__":
    main()
