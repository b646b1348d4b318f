"""The lineage of a model: its labelled listings, configuration, code and pretrained weights."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import polars as pl

from catalog_io.catalog.model_records import Registration
from flows.project.project import Project
from models.engines.machine import device_name
from models.lifecycle.card import ModelCard
from models.network.architecture import WeightsOrigin
from models.training.presets import Preset
from schemas.files import sha256_of
from schemas.frames import LABEL_PREFIX
from schemas.taxonomy import Taxonomy


class DataLineage(NamedTuple):
    """The labelled listings of a training."""

    hash: str  # SHA-256
    listings: dict[str, dict[str, int]]  # how many, by feed and split


def data_lineage(frame: pl.DataFrame, attributes: Sequence[str]) -> DataLineage:
    """The lineage of the listings of a `labelled_frame`. The hash changes with every listing, title, picture, label and
    split, not with the order of the rows."""
    columns = ["feed", "listing_id", "input_hash", "split", *(f"{LABEL_PREFIX}{name}" for name in attributes)]
    digest = sha256(json.dumps(columns).encode())
    for row in frame.select(columns).sort("feed", "listing_id").iter_rows():
        digest.update(json.dumps(row).encode())  # JSON: an empty title and none, `ab, c` and `a, bc` differ
    counts: dict[str, dict[str, int]] = {}
    for feed, split, listings in frame.group_by("feed", "split").len().sort("feed", "split").iter_rows():
        counts.setdefault(feed, {})[split] = listings
    return DataLineage(digest.hexdigest(), counts)


def registration(
    project: Project, card: ModelCard, data: DataLineage, *, seconds: float, source: str | None = None
) -> Registration:
    """The entry of the model registry for a model whose training took `seconds`. `source` is the model whose encoder
    it has; None: its own."""
    return Registration(
        model_version=card.version,
        preset=card.preset.name,
        path=f"models/{card.version}",
        pretrained=started_from(card.preset, card.picture_weights),
        data_hash=data.hash,
        data=data.listings,
        config={
            **({"encoder_of": source} if source else {}),
            "preset": asdict(card.preset),
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
    """SHA-256 of a taxonomy."""
    return sha256(json.dumps(taxonomy.to_dict()).encode()).hexdigest()


def started_from(preset: Preset, picture_weights: WeightsOrigin | None = None) -> str | None:
    """The pretrained weights: those of the backbone, and those of a picture tower with source, licence and SHA-256.
    None: random weights."""
    named = [str(part) for part in (_backbone_weights(preset), picture_weights) if part]
    return "; ".join(named) or None


def _backbone_weights(preset: Preset) -> str | None:
    """The SHA-256 of a file, so that another file under the same name is noticed; an open_clip tag; or a backbone
    (`hf-hub:`, `local-dir:`) that has its own."""
    if preset.pretrained is None:
        return preset.architecture.backbone if ":" in preset.architecture.backbone else None
    if not Path(preset.pretrained).is_file():
        return preset.pretrained
    return f"sha256:{sha256_of(Path(preset.pretrained))}"


def git_commit(checkout: Path) -> str | None:
    """The commit of a checkout, with `-dirty` where files were changed since; None where the folder is no checkout."""
    git = shutil.which("git")
    if git is None or not (checkout / ".git").exists():
        return None
    describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    command = [git, "--no-optional-locks", "-C", str(checkout), *describe]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (nothing in it is a user's)
    return done.stdout.strip() or None
