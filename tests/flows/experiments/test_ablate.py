"""The ablation, from a catalogue to its tables."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from flows.cli.laboratory_commands import parse_epochs
from flows.experiments.ablate import _chosen, _trained, ablate
from flows.experiments.ablation_results import AblationResults, compare
from flows.experiments.ablation_tables import markdown, tables
from flows.project.project import Project
from models.experiments.outcomes import Outcome, Splits
from models.experiments.swapped_listings import CONDITIONS
from models.experiments.variants import VARIANTS, variant_of
from models.inputs.examples import Examples
from models.training.presets import preset
from schemas.errors import ConfigurationError


def test_tables_have_every_row_and_column() -> None:
    count = 60
    random = np.random.default_rng(0)
    test = Examples(
        pictures=np.zeros((count, 1, 1, 3), dtype=np.uint8),
        tokens=np.zeros((count, 1), dtype=np.int64),
        present=np.ones((count, 2), dtype=bool),
        labels=np.stack([random.integers(0, 3, count), np.full(count, -1)], axis=1),
        feeds=np.array(["hm", "myntra"] * (count // 2)),
        products=np.arange(count).astype(str),
    )

    def outcome(name: str) -> Outcome:
        weight = 0.5 if variant_of(name).weighs_modalities else np.nan
        return Outcome(
            seconds=10.0,
            probabilities={of: [random.dirichlet(np.ones(3), count), np.full((count, 2), 0.5)] for of in CONDITIONS},
            image_weight=dict.fromkeys(CONDITIONS, np.full((count, 2), weight)),
        )

    names = (*VARIANTS, "swapped=0", "without-ma+swapped=0")
    outcomes = {name: {seed: outcome(name) for seed in range(2)} for name in names}
    reference = preset("small", epochs={"pictures": 3})
    results = compare(outcomes, Splits(test, test, test, 7), reference, ("color", "pattern"), 0.9)
    stored = json.loads(json.dumps(asdict(results), allow_nan=False))
    assert TypeAdapter(AblationResults).validate_python(stored) == results
    labels = {name: variant_of(name).label for name in names}
    compared, ablated, options, accuracy, f1, aurc, swaps, behind, weights, times = tables(results)
    assert [row[0] for row in compared.rows] == [labels[name] for name in VARIANTS if "without" not in name]
    assert [row[0] for row in ablated.rows] == [labels[name] for name in ("without-ma-sa", "without-ma", "full")]
    assert [row[0] for row in options.rows] == ["CMA-CLIP", "CMA-CLIP, swapped 0", "without MA, swapped 0"]
    for whole in (accuracy, f1, aurc, swaps, times):
        assert [row[0] for row in whole.rows] == list(labels.values())
    assert [row[0] for row in behind.rows] == [label for name, label in labels.items() if name != "full"]
    assert compared.headings == ["", "color", "mean"]  # no listing has a pattern
    assert [row[:3] for row in weights.rows] == [
        [label, feed, "color"] for label in ("CMA-CLIP", "CMA-CLIP, swapped 0") for feed in ("hm", "myntra")
    ]
    assert weights.rows[0][3:] == ["0.50 ± 0.00"] * 3
    assert times.rows[0][1] == "10"
    for table in (compared, ablated, options, accuracy, f1, aurc, swaps, behind, weights, times):
        assert all(len(row) == len(table.headings) for row in table.rows)
    page = markdown(results)
    assert "30 of hm, 30 of myntra (60 products)" in page and "7 test listings lack one" in page
    assert page.count("\n## ") == 10


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


def test_unknown_names_are_refused(trained: Path) -> None:
    project = Project.open(trained)
    with pytest.raises(ConfigurationError, match="no variant 'half'; there are classical"):
        ablate(project, variants=["half"])
    with pytest.raises(ConfigurationError, match="no feed 'x'"):
        ablate(project, feeds=["x"])
    with pytest.raises(ConfigurationError, match="no stage 'x'"):
        ablate(project, epochs={"x": 1})


@pytest.mark.timeout(900)  # each call starts processes that import PyTorch
def test_an_ablation_resumes_from_its_outcomes(project_copy: Path, tmp_path: Path) -> None:
    project, folder = Project.open(project_copy), tmp_path / "results"
    untrained = dict.fromkeys(["titles", "pictures", "warm-up", "end-to-end", "tuning"], 0)
    first = ablate(project, seeds=1, variants=["zero-shot", "full"], epochs=untrained, folder=folder)
    made = {path.name: path.stat().st_mtime_ns for path in first.folder.glob("*.safetensors")}
    assert set(made) == {"zero-shot-0.safetensors", "full-0.safetensors"}
    assert [path.name for path in first.folder.iterdir() if path.is_dir()] == ["towers-0"]
    again = ablate(project, seeds=1, variants=["zero-shot", "full", "title-only"], epochs=untrained, folder=folder)
    assert again.folder == first.folder
    assert {name: (again.folder / name).stat().st_mtime_ns for name in made} == made
    assert (again.folder / "title-only-0.safetensors").exists()
    kept = json.loads((again.folder / "ablation.json").read_text(encoding="utf-8"))
    assert kept == json.loads(json.dumps(asdict(again.results)))
    assert again.results.variants["full"].metrics == first.results.variants["full"].metrics
    other = ablate(project, seeds=1, variants=["classical"], epochs={"tuning": 2}, folder=folder)
    assert other.folder != first.folder
    assert other.results.variants["classical"].metrics["clean"]["color"]["accuracy"].mean > 0.5
    assert not (other.folder / "towers-0").exists()  # which hand-made features do not need
