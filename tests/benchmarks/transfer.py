"""What a model of H&M is worth at a merchant that it never saw, Myntra, with 0, 200 and 1,000 labelled listings.

    uv run python tests/benchmarks/transfer.py --data ../shared/data --folder /somewhere/new

Needs `hm/` and `myntra/` below --data; writes nothing there. --folder must not exist: the model of H&M must not learn
from listings of Myntra that an earlier run has ingested. Every figure is of the same 2,000 test listings of Myntra,
from whose labels nothing learns. The steps are the commands of a user.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from flows.project.project import Project
from models.inputs.splits import splits_of

EXAMPLE = Path(__file__).parents[2] / "deploy" / "examples" / "two-merchants"
TESTED, FEW, MANY = 2000, 200, 1000
HM = """
[feeds.hm]
source = "{data}/hm/listings.csv"
images = "{data}/hm"
columns = {{ listing_id = "article_id", title = "prod_name", image = "image", product_id = "product_code" }}
labels = {{ color = "colour", pattern = "pattern", style = "product_type" }}
"""
MYNTRA = """
[feeds.myntra]
source = "../{file}.parquet"
columns = {{ listing_id = "id", title = "productDisplayName", image = "image" }}
labels = {{ color = "baseColour", style = "articleType" }}
"""
HEADING = """\
| labels | command | seconds | attribute | accuracy | coverage | accepted tags that are right | promise kept |
|---|---|---|---|---|---|---|---|"""


def write_feeds(data: Path, folder: Path) -> None:
    """Two files of the same test listings: `few` with 200 labelled listings of the other splits, `many` with 1,000."""
    rows = pl.concat([pl.read_parquet(path) for path in sorted((data / "myntra").glob("*.parquet"))])
    tested = splits_of(["myntra"] * rows.height, rows["id"].cast(str).to_list()) == "test"
    generator = np.random.default_rng(0)
    test, others = (generator.permutation(np.flatnonzero(part)) for part in (tested, ~tested))
    for name, count in (("few", FEW), ("many", MANY)):
        rows[np.concatenate([test[:TESTED], others[:count]])].write_parquet(folder / f"{name}.parquet")


def make_project(folder: Path, feeds: str, attributes: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    taxonomy = yaml.safe_load((EXAMPLE / "taxonomy.yaml").read_text(encoding="utf-8"))
    kept = {name: values for name, values in taxonomy.items() if name in (*attributes, "unknown_words", "unusable")}
    (folder / "taxonomy.yaml").write_text(yaml.safe_dump(kept, sort_keys=False), encoding="utf-8")
    config = folder / "cma.toml"
    config.write_text(f'taxonomy = "taxonomy.yaml"\n{feeds}\n[model]\npreset = "lite"\n', encoding="utf-8")
    return config


def cma(config: Path, *command: str) -> float:
    """Runs one command, shows what it prints, and returns its seconds."""
    print(f"$ cma {' '.join(command)}", flush=True)
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "flows.cli", *command, "--config", str(config)], check=True)
    return time.monotonic() - began


def evaluated(config: Path, labels: int, commands: str, seconds: float) -> list[str]:
    """The rows of the table that `cma evaluate` has for this project."""
    file = config.parent / f"evaluation-{labels}.json"
    cma(config, "evaluate", "--feed", "myntra", "--json", str(file))
    rows = []
    for name, found in json.loads(file.read_text(encoding="utf-8"))["attributes"].items():
        metrics = found["overall"]["metrics"]
        shown = [metrics[metric]["value"] for metric in ("accuracy", "coverage", "precision")]
        kept = found["overall"]["promise_kept"] if shown[1] else None
        texts = ["–" if number is None else f"{number:.1%}" for number in (*shown, kept)]
        rows.append(f"| {labels} | {commands} | {seconds:.0f} | {name} | {' | '.join(texts)} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    asked = parser.parse_args()
    data, folder = asked.data.resolve(), asked.folder.resolve()
    folder.mkdir(parents=True)
    write_feeds(data, folder)
    attributes = ["color", "pattern", "style"]
    config = make_project(folder / "hm", HM.format(data=data), attributes)
    for step in ("ingest", "train", "compile"):
        print(f"{cma(config, step):.0f} s", flush=True)
    source = Project.open(config).model_folder()
    make_project(folder / "hm", HM.format(data=data) + MYNTRA.format(file="few"), attributes)
    ingest = cma(config, "ingest", "myntra")
    rows = evaluated(config, 0, "`cma ingest`", ingest)
    rows += evaluated(config, FEW, "`cma certify`", cma(config, "certify", "myntra"))
    config = make_project(folder / "myntra", MYNTRA.format(file="many"), ["color", "style"])
    cma(config, "ingest")
    rows += evaluated(config, MANY, "`cma train --heads`", cma(config, "train", "--from", str(source), "--heads"))
    rows += evaluated(config, MANY, "`cma train`", cma(config, "train", "--promote"))
    print("\n".join([HEADING, *rows]))


if __name__ == "__main__":
    main()
