"""Tags a large catalogue from kept features, then once more under new certificates: no picture is read, no engine runs.

    uv run python tests/benchmarks/million_retag.py --listings 1000000 --folder /somewhere/with/10/GB

The features are random numbers of the shape that the preset's engine makes, the weights as well. Prints minutes,
listings a second and the peak memory of the process and of its largest worker, as Markdown.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np

from catalog_io.catalog.model_records import Registration
from catalog_io.feature_store import FILE_ROWS, FeatureStore, write_features
from flows.project.project import Project
from models.engines.features import packed
from models.engines.interface import Features
from models.experiments.bench import untrained_model
from models.lifecycle.card import read_card, write_card
from models.lifecycle.model import Model
from models.training.presets import PRESETS

CONFIG = 'home = "warehouse"\n\n[tag]\nengine = "torch"\n'
HEADING = """\
| tagging | time | listings/s | peak, main | peak, largest worker | from features | flags |
|---|---|---|---|---|---|---|"""
CHILD = """
import json, sys, time
from pathlib import Path
from threading import Thread
import psutil
from flows.project.project import Project
from flows.tagging.tag import tag
me, peak = psutil.Process(), [0.0, 0.0]
def watch():
    while True:
        here = [me.memory_info().rss, max((child.memory_info().rss for child in me.children(True)), default=0)]
        peak[:] = [max(before, now / 2**20) for before, now in zip(peak, here)]
        time.sleep(0.2)
Thread(target=watch, daemon=True).start()
start = time.perf_counter()
summary = tag(Project.open(Path(sys.argv[1])))
print(json.dumps({"seconds": time.perf_counter() - start, "peak": peak, "selected": summary.selected,
                  "from_features": summary.from_features, "flags": summary.flags}))
"""
LISTINGS = """
insert into listings by name
select 'many' as feed, lpad(i::text, 9, '0') as listing_id, 'p' || (i // 3) as product_id, md5(i::text) as input_hash,
    'A title of listing ' || i as title, md5('picture' || i) as image_hash
from range({count}) as r(i)
"""
LABELS = """
insert into labels by name
select 'many' as feed, lpad(i::text, 9, '0') as listing_id, '{attribute}' as attribute, 'merchant' as source,
    '{value}' as word, '{value}' as value
from range({count}) as r(i) where i % 2 = 0
"""


def make(folder: Path, listings: int, preset: str) -> Project:
    folder.mkdir(parents=True)
    (folder / "cma.toml").write_text(CONFIG, encoding="utf-8")
    project = Project.open(folder / "cma.toml")
    project.catalog.create(project.taxonomy)
    with duckdb.connect(project.home / "work.duckdb") as connection:
        connection.execute(LISTINGS.format(count=listings))
        for attribute in project.taxonomy.attributes:
            value = attribute.value_names[0]
            connection.execute(LABELS.format(count=listings, attribute=attribute.name, value=value))
    model = project.home / "models" / "untrained"
    card = untrained_model(model, PRESETS[preset], project.taxonomy)
    thresholds = {"mismatch": 0.9, "modality_conflict": 0.2, "label_conflict": 0.1}
    write_card(replace(card, noise=replace(card.noise, thresholds=thresholds)), model)
    project.catalog.register_model(
        Registration(
            **{"model_version": card.version, "preset": preset, "path": "models/untrained", "pretrained": None},
            **{"data_hash": "", "data": {}, "config": {}, "code_version": "", "git_commit": None},
            **{"seconds": 0, "device": "", "metrics": {}},
        )
    )
    width = Model(model, card).network.backbone.width
    random = np.random.default_rng(0)
    store = FeatureStore(project.home, Model(model, card).encoder_key("torch"))
    for number, hashes in enumerate(project.catalog.input_hashes().to_frame().iter_slices(FILE_ROWS)):
        numbers = random.normal(size=(4, hashes.height, width)).astype(np.float32)
        rows = hashes.with_columns(packed(Features(*numbers)), has_picture=True, has_title=True)
        write_features(store.folder / f"{number:05d}.parquet", rows)
    return project


def with_other_certificates(project: Project) -> None:
    """Temperature 2, and half of all tags would be accepted elsewhere."""
    folder = project.model_folder()
    card = read_card(folder)
    made = card.certificates
    pooled = {
        name: replace(one, temperature=2.0, thresholds=[0.5] * len(one.thresholds)) for name, one in made.pooled.items()
    }
    write_card(replace(card, certificates=replace(made, pooled=pooled)), folder)


def tagged(project: Project) -> str:
    done = subprocess.run([sys.executable, "-c", CHILD, project.config], check=True, capture_output=True, text=True)
    said = json.loads(done.stdout.splitlines()[-1])
    rate, (main, worker) = said["selected"] / said["seconds"], said["peak"]
    cells = [f"{said['seconds'] / 60:.1f} min", f"{rate:,.0f}", f"{main:,.0f} MiB", f"{worker:,.0f} MiB"]
    return " | ".join([*cells, f"{said['from_features']:,}", f"{said['flags']:,} |"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listings", type=int, default=1_000_000)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="vit-b-32")
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    project = make(given.folder, given.listings, given.preset)
    print(HEADING, flush=True)
    print(f"| for the first time | {tagged(project)}", flush=True)
    with_other_certificates(project)
    print(f"| under new certificates | {tagged(project)}")
