"""The demonstration: a project on the generated sample catalogue, whose tags are compared with the ground truth."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from catalog_io.catalog.snapshot import query
from catalog_io.sample.catalogue import SampleCatalogue, make_sample
from flows.project.progress import bar
from flows.project.project import Project
from models.evaluation.metrics import each_once, recall_at_precision
from models.inputs.splits import splits_of

FEED = "sample"
CONFIG = """\
# The project of the demonstration. Its model is one that a CPU trains in minutes.
home = "warehouse"

[feeds.sample]
source = "catalogue/listings.csv"
images = "catalogue"
columns = { listing_id = "listing_id", title = "title", image = "image", product_id = "product_id" }
labels = { color = "color", pattern = "pattern", style = "style" }

[model]
preset = "lite"
epochs = { warm-up = 12, tuning = 2 }   # the sample is easy; without this line, a small catalogue is seen more often
"""


def make_demo(folder: Path, *, listings: int, seed: int) -> tuple[Path, SampleCatalogue]:
    """Generates the sample catalogue and a `cma.toml` in `folder`, where they are missing; returns the path of the
    project file, and the catalogue."""
    with bar("render the sample catalogue", listings) as advance:
        sample = make_sample(folder / "catalogue", listings=listings, seed=seed, progress=advance)
    config = folder / "cma.toml"
    if not config.exists():
        config.write_text(CONFIG, encoding="utf-8")
    return config, sample


@dataclass(frozen=True)
class AttributeScore:
    """Shares of the held-out listings, measured against the ground truth, not the merchant's labels."""

    listings: int
    accuracy: float
    recall_at_precision: float  # at the best threshold for the target precision
    precision: float  # of accepted tags
    coverage: float  # accepted tags


@dataclass(frozen=True)
class FaultScore:
    """Listings with one kind of planted fault."""

    planted: int
    found: int  # listings among them that are flagged


@dataclass(frozen=True)
class DemoScore:
    """Scores by attribute, planted fault and kind of flag."""

    attributes: dict[str, AttributeScore]
    faults: dict[str, FaultScore]
    flags: dict[str, tuple[int, int]]  # listings flagged, and how many of them have a planted fault


def score_demo(project: Project, sample: SampleCatalogue) -> DemoScore:
    """Compares the published tags and flags with the sample's ground truth."""
    truth = pl.read_csv(sample.ground_truth, infer_schema=False).with_columns(pl.col("fault").fill_null(""))
    listings = query(project.home, f"select listing_id, product_id from listings where feed = '{FEED}'")
    held_out = listings.filter(splits_of([FEED] * listings.height, listings["product_id"].to_list()) == "test")
    columns = "listing_id, attribute, value, confidence, accepted"
    tags = query(project.home, f"select {columns} from tags where feed = '{FEED}'")
    attributes = {
        name: _score_attribute(
            tags.filter(pl.col("attribute") == name)
            .join(held_out, on="listing_id", how="semi")
            .join(truth.select("listing_id", truth=name), on="listing_id"),
            project.settings.tag.target_precision,
        )
        for name in project.taxonomy.names
    }
    flags = query(project.home, f"select distinct listing_id, kind from noisy_listings where feed = '{FEED}'")
    faulty = truth.filter(pl.col("fault") != "")
    found = flags.select("listing_id").unique()
    faults = {
        str(fault[0]): FaultScore(group.height, group.join(found, on="listing_id", how="semi").height)
        for fault, group in sorted(faulty.group_by("fault"))
    }
    kinds = [(str(kind[0]), group) for kind, group in sorted(flags.group_by("kind"))]
    kinds.append(("any flag", found))
    return DemoScore(
        attributes,
        faults,
        {kind: (group.height, group.join(faulty, on="listing_id", how="semi").height) for kind, group in kinds},
    )


def _score_attribute(tags: pl.DataFrame, target: float) -> AttributeScore:
    right = (tags["value"] == tags["truth"]).to_numpy()
    accepted = tags["accepted"].to_numpy()
    recall = recall_at_precision(tags["confidence"].to_numpy(), right, each_once(len(right)), target)
    return AttributeScore(
        listings=tags.height,
        accuracy=float(right.mean()),
        recall_at_precision=float(recall[0]),
        precision=float(right[accepted].mean()) if accepted.any() else float("nan"),
        coverage=float(np.mean(accepted)),
    )
