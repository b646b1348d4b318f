"""Where a model comes from: the labelled listings, the configuration, the code and the weights that it started from."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import polars as pl

from catalog_io.catalog.models import Registration
from flows.project.project import Project
from models.engines.machine import device_name
from models.lifecycle.card import ModelCard
from models.training.presets import Preset
from schemas.files import sha256_of
from schemas.frames import LABEL_PREFIX
from schemas.taxonomy import Taxonomy


class DataLineage(NamedTuple):
    """Of the labelled listings of a training: a SHA-256, and how many there are by feed and split."""

    hash: str
    listings: dict[str, dict[str, int]]


def data_lineage(frame: pl.DataFrame, attributes: Sequence[str]) -> DataLineage:
    """Of a `labelled_frame`. The hash does not depend on the order of its rows; it changes
    with every listing, title, picture, label or split that changes."""
    columns = ["feed", "listing_id", "input_hash", "split", *(f"{LABEL_PREFIX}{name}" for name in attributes)]
    digest = sha256(json.dumps(columns).encode())
    for row in frame.select(columns).sort("feed", "listing_id").iter_rows():
        digest.update(json.dumps(row).encode())  # JSON: an empty title and none, `ab, c` and `a, bc` differ
    counts: dict[str, dict[str, int]] = {}
    for feed, split, listings in frame.group_by("feed", "split").len().sort("feed", "split").iter_rows():
        counts.setdefault(feed, {})[split] = listings
    return DataLineage(digest.hexdigest(), counts)


def registration(project: Project, card: ModelCard, data: DataLineage, *, seconds: float) -> Registration:
    """What the registry keeps of a model that has just been trained in `seconds`."""
    return Registration(
        model_version=card.version,
        preset=card.preset.name,
        path=f"models/{card.version}",
        pretrained=started_from(card.preset),
        data_hash=data.hash,
        data=data.listings,
        config={
            "preset": card.preset.to_dict(),
            "taxonomy": {
                "sha256": taxonomy_hash(card.taxonomy),
                "values": {attribute.name: len(attribute.value_names) for attribute in card.taxonomy.attributes},
            },
            "target_precision": card.target_precision,
            "confidence": card.confidence,
            "picture_size": project.settings.ingest.picture_size,
        },
        code_version=version("cma-tagger"),
        git_commit=git_commit(Path(__file__).parents[2]),
        seconds=seconds,
        device=device_name(),
        metrics=card.metrics,
    )


def taxonomy_hash(taxonomy: Taxonomy) -> str:
    return sha256(json.dumps(taxonomy.to_dict()).encode()).hexdigest()


def started_from(preset: Preset) -> str | None:
    """The pretrained weights: a file by its SHA-256, so that another under the same name is noticed; else their tag, or
    the `hf-hub:` or `local-dir:` name that brings its own. None: random ones."""
    if preset.pretrained is None:
        return preset.architecture.backbone if ":" in preset.architecture.backbone else None
    if not Path(preset.pretrained).is_file():
        return preset.pretrained
    return f"sha256:{sha256_of(Path(preset.pretrained))}"


def git_commit(checkout: Path) -> str | None:
    """The commit that runs, with `-dirty` where files were changed since; None where this is no checkout."""
    git = shutil.which("git")
    if git is None or not (checkout / ".git").exists():
        return None
    describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    command = [git, "--no-optional-locks", "-C", str(checkout), *describe]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (nothing in it is a user's)
    return done.stdout.strip() or None
