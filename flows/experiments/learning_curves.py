"""Learning curves: how good each variant is with so many labelled listings."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from flows.experiments.ablate import Request, Study
from flows.experiments.ablation_results import AblationResults, ReadingResults
from flows.experiments.result_table import ResultTable, cell, page
from flows.project.project import Project
from flows.reports.plots import Curve, learning_curves
from models.experiments.scores import MEAN, Spread
from schemas.files import write_whole

_METRICS = {"recall_oracle": "recall at {target:.0%} precision", "accuracy": "accuracy"}


@dataclass(frozen=True)
class CurvesSummary:
    """The results by number of training listings. Each has its own `ablation.json` and `ablation.md` in `folder`."""

    folder: Path
    results: dict[int, AblationResults]
    tables: list[ResultTable]


def trace_curves(project: Project, asked: Request, labels: Sequence[int]) -> CurvesSummary:
    """Trains the variants on so many labelled listings each, and writes tables (`learning-curves.md`) and a plot
    (`learning-curves.svg`). A number beyond the training listings that there are means all of them."""
    with project.run("ablate") as run:
        study = Study.open(project, asked)
        counts = sorted({min(count, len(study.splits.train.titles)) for count in labels})
        results = dict(zip(counts, study.run(counts), strict=True))
        tables = curve_tables(results)
        write_whole(study.folder / "learning-curves.md", page("Learning curves", tables))
        write_whole(study.folder / "learning-curves.svg", plot(results))
        by_labels = {count: asdict(found) for count, found in results.items()}
        write_whole(study.folder / "learning-curves.json", json.dumps(by_labels, indent=1))
        run.summary.update(folder=str(study.folder), seeds=asked.seeds, variants=", ".join(study.chosen))
    return CurvesSummary(study.folder, results, tables)


def curve_tables(results: dict[int, AblationResults]) -> list[ResultTable]:
    """Recall and accuracy by number of training listings: of the heads alone, and pooled with probes."""
    first = next(iter(results.values()))
    seeds = "one seed" if first.seeds == 1 else f"mean ± standard deviation over {first.seeds} seeds"
    note = (
        f"%, mean over attributes; {seeds}, each of which draws its own listings, smaller draws within larger ones. "
        "Validation listings in proportion, but at least 50; test listings all."
    )
    tables = []
    for reading in ("heads", "pooled"):
        if reading == "pooled" and not all(variant.pooled for variant in first.variants.values()):
            continue
        for metric, title in _METRICS.items():
            rows = [
                [variant.label, *(cell(_spread(found, name, reading, metric)) for found in results.values())]
                for name, variant in first.variants.items()
            ]
            heading = title.format(target=first.target_precision)
            heading = f"Pooled with probes: {heading}" if reading == "pooled" else heading.capitalize()
            tables.append(ResultTable(heading, ["", *(f"{count:,} labels" for count in results)], rows, note))
    return tables


def plot(results: dict[int, AblationResults]) -> str:
    """An SVG of recall and accuracy against training listings, with the pool of those variants that have one."""
    first = next(iter(results.values()))
    panels = {}
    for metric, title in _METRICS.items():
        panels[title.format(target=first.target_precision)] = [
            Curve(variant.label, [(s.mean, s.std or 0.0) for s in _spreads(results, name, metric)])
            for name, variant in first.variants.items()
        ]
    return learning_curves(list(results), panels)


def _spreads(results: dict[int, AblationResults], name: str, metric: str) -> list[Spread]:
    return [_spread(found, name, "pooled", metric) for found in results.values()]


def _spread(results: AblationResults, name: str, reading: str, metric: str) -> Spread:
    variant = results.variants[name]
    read: ReadingResults = variant.pooled if reading == "pooled" and variant.pooled else variant.heads
    return read.metrics["clean"][MEAN][metric]
