"""The tables of an ablation: the paper's Tables 2 and 6, swapped titles and pictures, λ, and training times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the types of results are not loaded to print them
    from flows.experiments.ablation_results import AblationResults
    from models.experiments.scores import Difference, Scores, Spread

_COMPARED = ("classical", "zero-shot", "contrastive", "title-only", "picture-only", "late-fusion", "full")
_ABLATED = ("without-ma-sa", "without-ma", "full")
_MEAN = "mean"  # over the attributes


@dataclass(frozen=True)
class ResultTable:
    """A table of texts; `note` explains its numbers."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str


def markdown(results: AblationResults) -> str:
    """All tables as a page of Markdown, with the preset and the data at its head."""
    parts = [f"# Ablation\n\n{_about(results)}"]
    for table in tables(results):
        lines = [_line(table.headings), _line(["---"] * len(table.headings)), *map(_line, table.rows)]
        parts.append(f"## {table.title}\n\n" + "\n".join(lines) + f"\n\n{table.note}")
    return "\n\n".join(parts) + "\n"


def tables(results: AblationResults) -> list[ResultTable]:
    """The tables for which there are results."""
    every = tuple(results.variants)
    changed = tuple(name for name in every if "=" in name)
    options = ("full", *changed) if changed else ()
    target = f"{results.target_precision:.0%}"
    recall = f"Recall at {target} precision, %, at each variant's best threshold on the test listings{_seeds(results)}."
    aurc = f"Mean share of wrong tags among tags of at least the same confidence, %; lower is better{_seeds(results)}."
    found = [
        _metric_table(results, f"Methods compared (Table 2): recall at {target} precision", _COMPARED, recall),
        _metric_table(results, f"Parts left out (Table 6): recall at {target} precision", _ABLATED, recall),
        _metric_table(results, f"Options changed: recall at {target} precision", options, recall),
        _metric_table(results, "Accuracy", every, f"Share of right tags, %{_seeds(results)}.", metric="accuracy"),
        _metric_table(results, "Macro-F1", every, f"Mean F1 of the values, %{_seeds(results)}.", metric="macro_f1"),
        _metric_table(results, "Area under the risk–coverage curve (AURC)", every, aurc, metric="aurc"),
        _swaps(results, every),
        _behind(results, every),
        _weights(results),
        _times(results, every),
    ]
    return [table for table in found if table.rows]


def _metric_table(
    results: AblationResults, title: str, names: Iterable[str], note: str, *, metric: str = "recall_oracle"
) -> ResultTable:
    variants = results.variants
    labelled = [name for name in results.attributes if name in _any_metrics(results)["clean"]]
    rows = [
        [variants[name].label, *(_cell(variants[name].metrics["clean"][of][metric]) for of in (*labelled, _MEAN))]
        for name in names
        if name in variants
    ]
    return ResultTable(title, ["", *labelled, _MEAN], rows, note)


def _swaps(results: AblationResults, names: Iterable[str]) -> ResultTable:
    share, conditions = f"{results.swapped_share:.0%}", list(_any_metrics(results))
    rows = []
    for name in names:
        variant = results.variants[name]
        metrics = [variant.metrics[of][_MEAN] for of in conditions]
        rows.append([variant.label, *(_cell(of[name]) for name in ("recall_oracle", "accuracy") for of in metrics)])
    headings = ["", *(f"recall, {of}" for of in conditions), *(f"accuracy, {of}" for of in conditions)]
    note = (
        f"Means over the attributes, %. {share} of each feed's test listings have another product's title, or picture."
    )
    return ResultTable("Under swaps", headings, rows, note)


def _behind(results: AblationResults, names: Iterable[str]) -> ResultTable:
    headings, rows = [""], []
    for name in names:
        variant = results.variants[name]
        if gains := variant.behind_full:
            headings = ["", *(f"{metric}, {of}" for metric, of_metric in gains.items() for of in of_metric)]
            rows.append([variant.label, *(_interval(gain) for of in gains.values() for gain in of.values())])
    note = (
        "Points of recall (of AURC, where less is better), mean over attributes and seeds, with the 95 % interval of a "
        "paired bootstrap over the products of the test listings. It does not cover the choice of seeds. A network "
        "without a part, under other options, is compared with the full one under the same options."
    )
    return ResultTable("Full network − variant", headings, rows, note)


def _weights(results: AblationResults) -> ResultTable:
    rows, conditions = [], list(_any_metrics(results))
    for variant in results.variants.values():
        for feed, attributes in variant.image_weight.items():
            rows += [
                [variant.label, feed, name, *(_cell(of[condition], 1, 2) for condition in conditions)]
                for name, of in attributes.items()
                if name in variant.metrics["clean"]  # it has labels
            ]
    note = (
        "Mean λ, the share of the tag that came from the picture, 0 to 1. Clean: over all test listings of the feed; "
        "swapped: over the swapped listings only."
    )
    return ResultTable("λ, the weight of the picture", ["", "feed", "attribute", *conditions], rows, note)


def _times(results: AblationResults, names: Iterable[str]) -> ResultTable:
    rows = [
        [variant.label, f"{sum(variant.seconds) / len(variant.seconds):.0f}"]
        for variant in (results.variants[name] for name in names)
    ]
    note = (
        "Mean seconds for each seed, without the training of the towers that all variants start from. For an "
        "interrupted training, only the time since it resumed counts."
    )
    return ResultTable("Training time", ["", "seconds"], rows, note)


def _about(results: AblationResults) -> str:
    data, preset = results.data, results.preset
    test = ", ".join(f"{count} of {feed}" for feed, count in data.test.items())
    stages = ", ".join(f"{stage.name} {stage.epochs}" for stage in preset.stages)
    often = "one seed" if results.seeds == 1 else f"{results.seeds} seeds"
    return (
        f"Preset `{preset.name}` (epochs: {stages}); {often}; trained on {data.train} listings, chosen on "
        f"{data.validation}, measured on {test} ({data.products} products) that have both picture and title; "
        f"{data.left_out} test listings lack one of the two and are left out. Data `{data.hash[:12]}`."
    )


def _seeds(results: AblationResults) -> str:
    return ": mean ± standard deviation over the seeds" if results.seeds > 1 else " (one seed)"


def _any_metrics(results: AblationResults) -> Scores:
    """One variant's metrics: all have the same conditions and attributes."""
    return next(iter(results.variants.values())).metrics


def _cell(spread: Spread, scale: int = 100, digits: int = 1) -> str:
    mean = f"{scale * spread.mean:.{digits}f}"
    return mean if spread.std is None else f"{mean} ± {scale * spread.std:.{digits}f}"


def _interval(gain: Difference) -> str:
    return f"{100 * gain.mean:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
