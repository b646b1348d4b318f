"""The tables of an ablation: the paper's Tables 2 and 6, swapped titles and pictures, λ, and training times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.experiments.result_table import ResultTable, cell, page

if TYPE_CHECKING:  # the types of results are not loaded to print them
    from flows.experiments.ablation_results import AblationResults, ReadingResults
    from models.experiments.scores import Difference, Scores, Spread

_COMPARED = ("classical", "zero-shot", "contrastive", "title-only", "picture-only", "late-fusion", "full")
_ABLATED = ("without-ma-sa", "without-ma", "full")
_MEAN = "mean"  # over the attributes
_DIFFERENCES = {"recall_oracle": "recall", "accuracy": "accuracy", "aurc": "AURC, where less is better"}


def markdown(results: AblationResults) -> str:
    """All tables as a page of Markdown, with the preset and the data at its head."""
    return page("Ablation", tables(results), about=_about(results))


def tables(results: AblationResults) -> list[ResultTable]:
    """The tables for which there are results: of the heads alone, as in the paper, then of heads and probes pooled."""
    every = tuple(results.variants)
    changed = tuple(name for name in every if "=" in name)
    options = ("full", *changed) if changed else ()
    target = f"{results.target_precision:.0%}"
    recall = f"Recall at {target} precision, %, at each variant's best threshold on the test listings{_seeds(results)}."
    aurc = f"Mean share of wrong tags among tags of at least the same confidence, %; lower is better{_seeds(results)}."
    accuracy = f"Share of right tags, %{_seeds(results)}."
    heads = _Tables(results, "heads")
    found = [
        heads.metric(f"Methods compared (Table 2): recall at {target} precision", _COMPARED, recall),
        heads.metric(f"Parts left out (Table 6): recall at {target} precision", _ABLATED, recall),
        heads.metric(f"Options changed: recall at {target} precision", options, recall),
        heads.metric("Accuracy", every, accuracy, metric="accuracy"),
        heads.metric("Macro-F1", every, f"Mean F1 of the values, %{_seeds(results)}.", metric="macro_f1"),
        heads.metric("Area under the risk–coverage curve (AURC)", every, aurc, metric="aurc"),
        heads.swaps("Under swaps", every),
        *heads.behind("Full network − variant", every),
    ]
    if all(variant.pooled for variant in results.variants.values()):
        pooled = _Tables(results, "pooled")
        found += [
            pooled.metric(f"Pooled with probes: recall at {target} precision", every, recall),
            pooled.metric("Pooled with probes: accuracy", every, accuracy, metric="accuracy"),
            pooled.metric("Pooled with probes: AURC", every, aurc, metric="aurc"),
            pooled.swaps("Pooled with probes: under swaps", every),
            *pooled.behind("Pooled with probes: full network − variant", every),
        ]
    found += [_mismatches(results), _weights(results), _times(results, every)]
    return [table for table in found if table.rows]


@dataclass(frozen=True)
class _Tables:
    """The tables of one reading. Variants without a pool have the same rows in both."""

    results: AblationResults
    reading: str

    def _of(self, name: str) -> ReadingResults:
        variant = self.results.variants[name]
        return variant.pooled if self.reading == "pooled" and variant.pooled else variant.heads

    def metric(self, title: str, names: Iterable[str], note: str, *, metric: str = "recall_oracle") -> ResultTable:
        variants = self.results.variants
        labelled = [name for name in self.results.attributes if name in _any_metrics(self.results)["clean"]]
        rows = [
            [variants[name].label, *(cell(self._of(name).metrics["clean"][of][metric]) for of in (*labelled, _MEAN))]
            for name in names
            if name in variants
        ]
        return ResultTable(title, ["", *labelled, _MEAN], rows, note)

    def swaps(self, title: str, names: Iterable[str]) -> ResultTable:
        share, given = f"{self.results.swapped_share:.0%}", list(_any_metrics(self.results))
        rows = []
        for name in names:
            metrics = [self._of(name).metrics[of][_MEAN] for of in given]
            cells = (cell(of[metric]) for metric in ("recall_oracle", "accuracy") for of in metrics)
            rows.append([self.results.variants[name].label, *cells])
        headings = ["", *(f"recall, {of}" for of in given), *(f"accuracy, {of}" for of in given)]
        note = (
            f"Means over the attributes, %. {share} of each feed's test listings have another product's title, or "
            "picture. Both swaps: the mean of these two."
        )
        return ResultTable(title, headings, rows, note)

    def behind(self, title: str, names: Sequence[str]) -> Iterator[ResultTable]:
        for metric, what in _DIFFERENCES.items():
            headings, rows = [""], []
            for name in names:
                if gains := self._of(name).behind_full.get(metric):
                    headings = ["", *gains]
                    rows.append([self.results.variants[name].label, *map(_interval, gains.values())])
            note = (
                f"Points of {what}, mean over attributes and seeds, with the 95 % interval of a paired bootstrap over "
                "the products of the test listings. It does not cover the choice of seeds. A network without a part, "
                "under other options, is compared with the full one under the same options."
            )
            yield ResultTable(f"{title}: {what}", headings, rows, note)


def _mismatches(results: AblationResults) -> ResultTable:
    headings, rows = [""], []
    for variant in results.variants.values():
        if found := variant.mismatch:
            headings = ["", *(f"{score}, {of}" for of, by_score in found.items() for score in by_score)]
            headings += [f"average precision of the rule, {of}" for of in found]
            auroc = [metrics["auroc"] for by_score in found.values() for metrics in by_score.values()]
            precision = [next(iter(by_score.values()))["average_precision"] for by_score in found.values()]
            rows.append([variant.label, *(cell(of) for of in (*auroc, *precision))])
    share = f"{results.swapped_share:.0%}"
    note = (
        f"AUROC, %, with which swapped listings ({share}) are found among the others: by the noise rule `mismatch`, "
        "fitted on the validation listings under other listings' titles, and by two of its inputs, the matching head "
        "and the cosine of the towers."
    )
    return ResultTable("Mismatches found", headings, rows, note)


def _weights(results: AblationResults) -> ResultTable:
    rows = []
    shown = list(dict.fromkeys(kind for of in _weights_of(results) for kind in of))
    for variant in results.variants.values():
        for feed, attributes in variant.image_weight.items():
            rows += [
                [variant.label, feed, name, *(cell(of[kind], 1, 2) if kind in of else "–" for kind in shown)]
                for name, of in attributes.items()
                if name in variant.heads.metrics["clean"]  # it has labels
            ]
    note = (
        "Mean λ, the share of the tag that came from the picture, 0 to 1. Clean: over all test listings of the feed; "
        "swapped: over the swapped listings only; by title: over the clean listings with a label, whose title has, or "
        "does not have, a word of the taxonomy for its value. –: fewer than ten listings."
    )
    return ResultTable("λ, the weight of the picture", ["", "feed", "attribute", *shown], rows, note)


def _weights_of(results: AblationResults) -> Iterator[dict[str, Spread]]:
    for variant in results.variants.values():
        for attributes in variant.image_weight.values():
            yield from attributes.values()


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
    """One variant's metrics: all have the same columns and attributes."""
    return next(iter(results.variants.values())).heads.metrics


def _interval(gain: Difference) -> str:
    return f"{100 * gain.mean:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
