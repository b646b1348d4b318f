"""What the commands say when they are done."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from flows.experiments.ablation_tables import tables
from flows.reports.metric_texts import METRICS, with_interval

if TYPE_CHECKING:  # what is summed up need not be loaded to be printed
    from catalog_io.catalog.models import ModelRow
    from flows.experiments.ablate import AblationSummary
    from flows.experiments.demo import DemoScore
    from flows.ingestion.compact import CompactSummary
    from flows.ingestion.ingest import FeedSummary
    from flows.modelling.certify import CertifySummary
    from flows.modelling.evaluate import Evaluation
    from flows.modelling.promotion import Switched
    from flows.modelling.train import TrainSummary
    from flows.nightly import NightlySummary
    from flows.reports.noise_report import ReportSummary
    from flows.tagging.tag import TagSummary
    from models.evaluation.comparison import Comparison, Difference
    from models.lifecycle.engine_card import EngineCard
    from models.rules.certificates import Calibration, Certificate, Certificates
from statistics import median

from flows.experiments.bench import BenchSummary, Row

_NAMES = {
    "naive": "naive PyTorch: eager, titles padded",
    "torch": "torch",
    "openvino": "openvino",
    "cuda": "cuda",
    "tensorrt": "tensorrt",
    "worker": "a worker of cma tag, on the best of these",
}

_UNKNOWN_SHOWN = 8


def feeds(out: Console, summaries: list[FeedSummary]) -> None:
    for feed in summaries:
        several = f" = {feed.listings} listings" if feed.listings != feed.accepted else ""
        out.print(
            f"[bold]feed {feed.feed}[/bold]  {feed.read} rows read = {feed.accepted} accepted{several} "
            f"({feed.inserted} new, {feed.updated} changed, {feed.unchanged} unchanged) + {feed.rejected} rejected"
        )
        for code, count in feed.reasons.items():
            out.print(f"  rejected: {count} × {code}")
        if feed.pictures_worked:
            out.print(f"  pictures: {feed.pictures_worked} fetched or looked into, {feed.pictures_new} new ones stored")
        for code, count in feed.picture_faults.items():
            out.print(f"  unusable pictures: {count} × {code}")
        if feed.without_picture:
            out.print(f"  {feed.without_picture} listings have no usable picture: their titles alone will tag them")
        if feed.gone or feed.returned:
            out.print(f"  {feed.gone} listings are gone from the feed and inactive now; {feed.returned} came back")
        if feed.unknown_words:
            words = list(feed.unknown_words.items())
            shown = ", ".join(f"{word} ({count})" for word, count in words[:_UNKNOWN_SHOWN])
            more = f" and {len(words) - _UNKNOWN_SHOWN} more" if len(words) > _UNKNOWN_SHOWN else ""
            out.print(f"  label words that the taxonomy does not know: {shown}{more}", markup=False)


def compact(out: Console, done: CompactSummary) -> None:
    out.print(
        f"[bold]pictures[/bold]  {done.merged} small shards merged into {done.into}; "
        f"{done.removed} files removed that nothing had named for a day"
    )


def model(out: Console, done: TrainSummary) -> None:
    card, verdict = done.card, done.verdict
    counts = ", ".join(f"{count} {split}" for split, count in card.listings.items())
    out.print(f"[bold]model {card.version}[/bold]  preset {card.preset.name}; {counts} listings")
    _metrics(out, card.metrics, card.target_precision)
    if verdict.comparison:
        comparison(out, verdict.comparison)
    if verdict.promoted:
        out.print(f"  it is the champion now: {verdict.reason}; `cma compile` builds its engine")
    else:
        objections = verdict.comparison.objections if verdict.comparison else []
        reason = "for the reasons above" if objections else verdict.reason
        out.print(
            f"  [yellow]{verdict.champion} stays the champion[/yellow]: {reason}\n"
            f"  to promote it all the same: cma models promote {card.version}"
        )


def comparison(out: Console, found: Comparison) -> None:
    target = f"R@{found.target_precision:.0%}"
    headings = ("labelled", "accuracy", target, "right: old only", "new only", "p worse")
    table = new_table("champion → new model", *headings)
    for name, a in found.attributes.items():
        table.add_row(
            name,
            str(a.listings),
            f"{a.champion_accuracy:.3f} → {a.candidate_accuracy:.3f}",
            f"{a.champion_recall:.3f} → {a.candidate_recall:.3f}",
            str(a.only_champion),
            str(a.only_candidate),
            f"{a.p_worse:.2g}",
        )
    out.print(table)
    out.print(
        f"  mean accuracy {_gain(found.accuracy)}, {target} {_gain(found.recall)}, at {found.confidence:.0%} "
        f"confidence on {found.products} held-out products; {-found.margin:+.1%} is allowed"
    )
    for objection in found.objections:
        out.print(f"  against it: {objection}")


def _gain(difference: Difference) -> str:
    return f"{difference.mean:+.1%} (not below {difference.lowest:+.1%})"


def switched(out: Console, now: Switched) -> None:
    out.print(f"[bold]{now.model_version}[/bold] is the champion; the next `cma tag` uses it")
    if now.trouble:
        out.print(f"  its {now.backend} engine {now.trouble}: run `cma compile` first")
    else:
        out.print(f"  it tags on the {now.backend} engine")


def engines(out: Console, tried: Sequence[EngineCard]) -> None:
    for built in tried:
        verdict = "[green]passed[/green]" if built.gate.passed else "[red]refused[/red]"
        out.print(f"[bold]engine {built.identity}[/bold]  gate {verdict}: {built.gate}")
    _certificates(out, tried[-1].certificates, tried[-1].certificates.feeds)


def certified(out: Console, done: CertifySummary) -> None:
    out.print(f"[bold]certificates[/bold]  of {done.model_version} on {done.engine}")
    _certificates(out, done.certificates, done.feeds)
    out.print("  the next `cma tag` tags these feeds anew, where their certificates have changed")


def _certificates(out: Console, made: Certificates, feeds: Iterable[str]) -> None:
    """A line a feed and attribute."""
    promise = made.promise
    out.print(
        f"  certified for {promise.target_precision:.0%} precision at {promise.confidence:.0%} confidence, "
        f"by {promise.by}:"
    )
    for feed in feeds:
        for name, calibration in made.feeds[feed].items():
            found = calibration.certificate
            worth = f" (worth {found.worth})" if found.worth < found.listings else ""
            labelled = f"{found.listings}{worth}"
            ece = f"ECE {_number(calibration.ece_before)} → {_number(calibration.ece_after)}"
            if calibration.certified:
                share = f"from confidence {_thresholds(calibration)} on"
                if promise.by == "attribute":
                    share += f": {found.right} of {found.accepted} right, {labelled} labelled"
            else:
                share = f"nothing, of {labelled} labelled listings; {_more_labels(found)}"
            out.print(f"    {feed} {name}: {share} ({ece})")


def _more_labels(found: Certificate) -> str:
    if found.threshold is not None:
        return "no value by itself, so set tag.certify to attribute, or label more"
    return f"some {found.labels_needed} more may do" if found.labels_needed else "more labels alone will not do"


def _thresholds(calibration: Calibration) -> str:
    found = sorted({threshold for threshold in calibration.thresholds if threshold is not None})
    return f"{found[0]:.3f}" if len(found) == 1 else f"{found[0]:.3f}–{found[-1]:.3f}, by value,"


def tags(out: Console, summary: TagSummary) -> None:
    if not summary.selected:
        out.print(
            f"[bold]tags[/bold]  nothing to tag: every listing is tagged by {summary.model_version} ({summary.engine})"
        )
        return
    kept = f"{summary.from_features} of them from kept features; " if summary.from_features else ""
    out.print(
        f"[bold]tags[/bold]  {summary.selected} listings selected = {summary.tagged} tagged + "
        f"{summary.rejected} rejected; {summary.accepted_tags} tags accepted, {summary.flags} noise flags\n"
        f"  {kept}by {summary.model_version} on {summary.engine}; published {summary.snapshot}"
    )
    for feed, names in summary.uncertified.items():
        out.print(f"  feed {feed}: {', '.join(names)} not certified, so none of their tags is accepted")
    if summary.provisional_tags:
        out.print(f"  {summary.provisional_tags} of these would be elsewhere: see the view provisional_tags")
    for drift in summary.drift:
        if drift.drifted:
            out.print(
                f"  [yellow]feed {drift.feed}: confidences of {drift.attribute} have drifted[/yellow] (KS "
                f"{drift.statistic:.2f}, p {drift.p_value:.0e}, {drift.listings} listings): label some hundred of its "
                f"new listings and run `cma certify {drift.feed}`, or train anew"
            )


def report(out: Console, summary: ReportSummary) -> None:
    counts = ", ".join(f"{count} {kind}" for kind, count in summary.flags.items()) or "nothing flagged"
    out.print(
        f"[bold]noisy-listing report[/bold]  {summary.page}\n  {counts}; {summary.rejected} rejected rows",
        soft_wrap=True,
    )


def nightly(out: Console, night: NightlySummary) -> None:
    feeds(out, night.feeds)
    tags(out, night.tags)
    report(out, night.report)


def evaluation(out: Console, done: Evaluation, *, values: bool = False) -> None:
    results = done.results
    feeds = ", ".join(f"{count} of {feed}" for feed, count in results.feeds.items())
    out.print(f"[bold]model {done.model.version}[/bold]  on {done.engine}; {results.split} split, listings: {feeds}")
    if results.split != "test":
        out.print(f"  [yellow]the {results.split} split helped to make this model: these figures flatter it[/yellow]")
    table = new_table("with 95 % intervals", *results.attributes)
    table.add_row("labelled", *(str(found.overall.labelled) for found in results.attributes.values()))
    for metric, heading in METRICS.items():
        estimates = (found.overall.metrics[metric] for found in results.attributes.values())
        table.add_row(heading.format(target=results.target_precision), *map(with_interval, estimates))
    out.print(table)
    for name, found in results.attributes.items() if values else ():
        table = new_table(name, "labelled", "tagged", "precision", "recall", "F1", "accepted", "precision of these")
        for row in found.values:
            shares = (with_interval(share, digits=2) for share in (row.precision, row.recall, row.f1))
            counts = (str(row.labelled), str(row.predicted))
            of_accepted = with_interval(row.accepted_precision, digits=2)
            table.add_row(escape(row.value), *counts, *shares, str(row.accepted), of_accepted)
        out.print(table)
    if done.files:
        out.print(f"  model card: {done.files.page}\n  {done.files.text}", soft_wrap=True)


def _metrics(out: Console, metrics: Mapping[str, Mapping[str, float]], target: float) -> None:
    columns = {
        "labelled": "labelled",
        "accuracy": "accuracy",
        "macro_f1": "F1",
        "recall_oracle": f"R@{target:.0%}",
        "recall": "recall",
        "precision": "precision",
        "coverage": "coverage",
        "ece": "ECE",
    }
    table = new_table("held-out", *columns.values())
    for name, values in metrics.items():
        table.add_row(name, *(_number(values[key]) for key in columns))
    out.print(table)
    out.print(
        f"  R@{target:.0%}: recall at the best threshold for {target:.0%} precision. "
        "Recall, precision and coverage: at the certified threshold."
    )


def ablation(out: Console, summary: AblationSummary) -> None:
    for found in tables(summary.results):
        table = new_table(*found.headings)
        for row in found.rows:
            table.add_row(*row)
        out.print(f"[bold]{escape(found.title)}[/bold]")
        out.print(table)
        out.print(f"  {found.note}", markup=False)
    out.print(f"{summary.folder / 'ablation.md'}", markup=False)


def demo(out: Console, score: DemoScore) -> None:
    table = new_table("held-out, by truth", "listings", "accuracy", "R@90%", "accepted", "precision of accepted")
    for name, a in score.attributes.items():
        table.add_row(
            name,
            str(a.listings),
            *(_number(n) for n in (a.accuracy, a.recall_at_precision, a.coverage, a.precision)),
        )
    out.print(table)
    table = new_table("planted fault", "planted", "found")
    for fault, found in score.faults.items():
        table.add_row(fault, str(found.planted), f"{found.found} ({found.found / found.planted:.0%})")
    out.print(table)
    table = new_table("flag", "listings flagged", "with a planted fault", "precision")
    for kind, (flagged, right) in score.flags.items():
        table.add_row(kind, str(flagged), str(right), f"{right / flagged:.0%}" if flagged else "-")
    out.print(table)


def models(out: Console, rows: list[ModelRow]) -> None:
    table = new_table("model", "state", "made (UTC)", "preset", "listings", "data", "parent", "accuracy / R@target")
    for row in rows:
        shares = (
            f"{name} {_of(values, 'accuracy')} / {_of(values, 'recall_oracle')}" for name, values in row.metrics.items()
        )
        table.add_row(
            row.model_version,
            row.state,
            f"{row.created_at:%Y-%m-%d %H:%M}",
            row.preset,
            str(sum(sum(splits.values()) for splits in row.data.values())),
            row.data_hash[:8],
            row.parent or "",
            ", ".join(shares),
        )
    out.print(table if rows else "no models yet: train one with `cma train`")


def _of(metrics: Mapping[str, float | None], name: str) -> str:
    value = metrics.get(name)
    return "-" if value is None else f"{value:.3f}"


def runs(out: Console, frame: pl.DataFrame) -> None:
    table = new_table("run", "flow", "started (UTC)", "seconds", "state", "summary")
    for row in frame.iter_rows(named=True):
        took = f"{(row['finished_at'] - row['started_at']).total_seconds():.1f}" if row["finished_at"] else ""
        table.add_row(
            row["run_id"],
            row["flow"],
            f"{row['started_at']:%Y-%m-%d %H:%M:%S}",
            took,
            row["state"],
            _brief(row["summary"]),
        )
    out.print(table)


def new_table(*headings: str) -> Table:
    """Numbers and names stay whole; only the last column gives way to a narrow terminal."""
    columns = [Column(heading, no_wrap=place < len(headings) - 1) for place, heading in enumerate(headings)]
    return Table(*columns)


def _brief(summary: str | None) -> str:
    values: dict[str, Any] = json.loads(summary or "{}")
    return ", ".join(f"{key} {value}" for key, value in values.items() if isinstance(value, str | int | float))[:160]


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return str(int(value)) if float(value).is_integer() and value > 1 else "-" if value != value else f"{value:.3f}"


def print_bench(out: Console, summary: BenchSummary) -> None:
    matrix_rates = " and ".join(
        f"{median(rates) / 1e12:.2f} TFLOP/s on {'the card' if device == 'cuda' else 'the processor'}"
        for device, rates in sorted(summary.matrix_rates.items())
    )
    out.print(
        f"[bold]{summary.model}[/bold] on {summary.processor}, {summary.threads} threads: {summary.listings} listings, "
        f"{summary.work / 1e9:.2f} GFLOP each; matrix products run at {matrix_rates}"
    )
    table = new_table("", "listings/s", "× naive", "of matrix rate", "argmax", "mean error", "memory", "loads in")
    for row in summary.rows:
        table.add_row(*_cells(row))
    out.print(table)
    for row in summary.rows:
        if row.of_engine is not None:
            out.print(f"  The worker, from stored pictures to tags, runs at {row.of_engine:.0%} of its engine's rate.")


def _cells(row: Row) -> tuple[str, ...]:
    answers = ("–", "–") if row.gate is None else (f"{row.gate.agreement:.2%}", f"{row.gate.probability_error:.1e}")
    return (
        f"{_NAMES[row.kind]} ({row.precision})",
        f"{row.rate:.1f}",
        f"{row.of_naive:.2f}",
        f"{row.of_roofline:.0%}",
        *answers,
        f"{row.peak_memory / 2**30:.2f} GiB",
        f"{row.load_seconds:.1f} s",
    )
