"""The ablation, from a catalogue to its tables."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from flows.cli.laboratory_commands import parse_epochs, parse_labels
from flows.experiments.ablate import Request, _chosen, _trained, ablate
from flows.experiments.ablation_results import AblationResults, compare
from flows.experiments.ablation_tables import markdown, tables
from flows.experiments.learning_curves import trace_curves
from flows.project.project import Project
from models.experiments.outcomes import Outcome, Probabilities
from models.experiments.splits import Compared, Splits
from models.experiments.swapped_listings import CONDITIONS
from models.experiments.variants import VARIANTS, variant_of
from models.inputs.listings import Listings
from models.training.presets import preset
from schemas.errors import ConfigurationError


def test_tables_have_every_row_and_column() -> None:
    count = 60
    random = np.random.default_rng(0)
    listings = Listings(
        titles=["dress"] * count,
        pictures=[b"-"] * count,
        labels=np.stack([random.integers(0, 3, count), np.full(count, -1)], axis=1),
        splits=np.array(["test"] * count),
        feeds=np.array(["hm", "myntra"] * (count // 2)),
        products=np.arange(count).astype(str),
    )
    present, named = np.ones((count, 2), dtype=bool), np.arange(2 * count).reshape(count, 2) % 3 == 0
    test = Compared(present, listings.labels, listings.feeds, listings.products, listings.labels >= 0, named)

    def probabilities() -> Probabilities:
        return {of: [random.dirichlet(np.ones(3), count), np.full((count, 2), 0.5)] for of in CONDITIONS}

    def outcome(name: str) -> Outcome:
        variant = variant_of(name)
        weight = 0.5 if variant.weighs_modalities else np.nan
        return Outcome(
            seconds=10.0,
            probabilities=probabilities(),
            image_weight=dict.fromkeys(CONDITIONS, np.full((count, 2), weight)),
            pooled=probabilities() if variant.kind == "network" else {},
            mismatch={of: random.random((count, 3)) for of in CONDITIONS} if variant.detects_mismatches else {},
        )

    names = (*VARIANTS, "swapped=0", "without-ma+swapped=0")
    outcomes = {name: {seed: outcome(name) for seed in range(2)} for name in names}
    reference = preset("small", epochs={"pictures": 3})
    splits = Splits(listings, listings, listings, 7)
    results = compare(outcomes, splits, test, reference, ("color", "pattern"), 0.9)
    stored = json.loads(json.dumps(asdict(results), allow_nan=False))
    assert TypeAdapter(AblationResults).validate_python(stored) == results
    labels = {name: variant_of(name).label for name in names}
    found = tables(results)
    compared, ablated, options, accuracy, f1, aurc, swaps, *behind = found[:10]
    pooled, (mismatches, weights, times) = found[10:-3], found[-3:]
    assert [row[0] for row in compared.rows] == [labels[name] for name in VARIANTS if "without" not in name]
    assert [row[0] for row in ablated.rows] == [labels[name] for name in ("without-ma-sa", "without-ma", "full")]
    assert [row[0] for row in options.rows] == ["CMA-CLIP", "CMA-CLIP, swapped 0", "without MA, swapped 0"]
    for whole in (accuracy, f1, aurc, swaps, times, *pooled[:4]):
        assert [row[0] for row in whole.rows] == list(labels.values())
    for of in (*behind, *pooled[4:]):
        assert [row[0] for row in of.rows] == [label for name, label in labels.items() if name != "full"]
        assert of.headings == ["", "clean", "swapped titles", "swapped pictures", "both swaps"]
    assert compared.headings == ["", "color", "mean"]  # no listing has a pattern
    rows = [(table.title, {row[0]: row[1:] for row in table.rows}) for table in (accuracy, pooled[1])]
    assert rows[0][1]["CMA-CLIP"] != rows[1][1]["CMA-CLIP"]
    assert rows[0][1][labels["classical"]] == rows[1][1][labels["classical"]]  # it has no pool
    apart = [next(row[1:] for row in table.rows if row[0] == labels["classical"]) for table in (behind[0], pooled[4])]
    assert apart[0] != apart[1]  # but the full network has one
    assert [row[0] for row in mismatches.rows] == [
        labels[name] for name in ("without-ma-sa", "without-ma", "full", "swapped=0", "without-ma+swapped=0")
    ]
    assert len(mismatches.headings) == 1 + 2 * 3 + 2
    assert [row[:3] for row in weights.rows] == [
        [label, feed, "color"] for label in ("CMA-CLIP", "CMA-CLIP, swapped 0") for feed in ("hm", "myntra")
    ]
    assert weights.headings[-2:] == ["title names the value", "title does not"]
    assert weights.rows[0][3] == "0.50 ± 0.00"
    assert times.rows[0][1] == "10"
    for table in found:
        assert all(len(row) == len(table.headings) for row in table.rows)
    page = markdown(results)
    assert "30 of hm, 30 of myntra (60 products)" in page and "7 test listings lack one" in page
    assert page.count("\n## ") == len(found) == 20


def test_variants_are_in_the_order_of_the_tables() -> None:
    assert _chosen(()) == tuple(VARIANTS)
    assert _chosen(("swapped=0", "full", "ema=0", "classical")) == ("classical", "full", "swapped=0", "ema=0")


def test_late_fusion_trains_its_parts() -> None:
    assert _trained(("late-fusion", "full")) == ("title-only", "picture-only", "full")
    assert _trained(("classical",)) == ("classical",)


@pytest.mark.parametrize("given", ["end-to-end", "end-to-end=", "end-to-end=-1", "end-to-end=x"])
def test_epochs_are_stage_and_number(given: str) -> None:
    assert parse_epochs(["pictures=3", "end-to-end=0"]) == {"pictures": 3, "end-to-end": 0}
    with pytest.raises(ConfigurationError, match=r"--epochs: .* is not STAGE=N"):
        parse_epochs([given])


def test_labels_are_numbers_of_listings() -> None:
    assert parse_labels("500, 1000,") == [500, 1000] and parse_labels("") == []
    with pytest.raises(ConfigurationError, match="--labels: '99' is not a number of listings of at least 100"):
        parse_labels("500,99")


def test_unknown_names_are_refused(trained: Path) -> None:
    project = Project.open(trained)
    with pytest.raises(ConfigurationError, match="no variant 'half'; there are classical"):
        ablate(project, Request(variants=["half"]))
    with pytest.raises(ConfigurationError, match="no feed 'x'"):
        ablate(project, Request(feeds=["x"]))
    with pytest.raises(ConfigurationError, match="no stage 'x'"):
        ablate(project, Request(epochs={"x": 1}))


@pytest.mark.timeout(900)  # each call starts processes that import PyTorch
def test_an_ablation_resumes_from_its_outcomes(project_copy: Path, tmp_path: Path) -> None:
    project, folder = Project.open(project_copy), tmp_path / "results"
    untrained = dict.fromkeys(["titles", "pictures", "warm-up", "end-to-end", "tuning"], 0)
    first = ablate(project, Request(seeds=1, variants=["zero-shot", "full"], epochs=untrained, folder=folder))
    made = {path.name: path.stat().st_mtime_ns for path in first.folder.glob("*.safetensors")}
    assert set(made) == {"zero-shot-0.safetensors", "full-0.safetensors"}
    assert [path.name for path in first.folder.iterdir() if path.is_dir()] == ["towers-0"]
    again = ablate(
        project, Request(seeds=1, variants=["zero-shot", "full", "title-only"], epochs=untrained, folder=folder)
    )
    assert again.folder == first.folder
    assert {name: (again.folder / name).stat().st_mtime_ns for name in made} == made
    assert (again.folder / "title-only-0.safetensors").exists()
    kept = json.loads((again.folder / "ablation.json").read_text(encoding="utf-8"))
    assert kept == json.loads(json.dumps(asdict(again.results)))
    assert again.results.variants["full"].heads == first.results.variants["full"].heads
    assert not (again.folder / "listings").exists()

    asked = Request(seeds=1, variants=["classical"], epochs={"tuning": 2}, folder=folder)
    curves, whole = trace_curves(project, asked, [100_000, 100]), first.results.data
    assert curves.folder != first.folder and list(curves.results) == [100, whole.train]
    few, everything = curves.results.values()
    assert (few.data.train, everything.data.train) == (100, whole.train)
    assert (few.data.validation, everything.data.validation) == (50, whole.validation)
    assert everything.variants["classical"].heads.metrics["clean"]["color"]["accuracy"].mean > 0.5
    assert sorted(path.name for path in (curves.folder / "labels-100").iterdir()) == [
        *("ablation.json", "ablation.md"),
        "classical-0.safetensors",  # and no towers, which hand-made features do not need
    ]
    assert [table.headings for table in curves.tables] == [["", "100 labels", f"{whole.train} labels"]] * 2
    assert (curves.folder / "learning-curves.md").read_text(encoding="utf-8").count("## ") == 2
    svg = (curves.folder / "learning-curves.svg").read_text(encoding="utf-8")
    assert "recall at 90% precision" in svg and variant_of("classical").label in svg and len(svg) < 100_000
