"""What the commands say when they are done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl
from rich.console import Console
from rich.table import Column, Table

if TYPE_CHECKING:  # what is summed up need not be loaded to be printed
    from catalog_io.registry import ModelRow
    from flows.compact import CompactSummary
    from flows.demo import DemoScore
    from flows.evaluate import Evaluation
    from flows.ingest import FeedSummary
    from flows.nightly import NightlySummary
    from flows.report import ReportSummary
    from flows.tag import TagSummary
    from models.card import ModelCard
    from models.engines.card import EngineCard

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


def model(out: Console, card: ModelCard) -> None:
    counts = ", ".join(f"{count} {split}" for split, count in card.listings.items())
    out.print(f"[bold]model {card.version}[/bold]  preset {card.preset.name}; {counts} listings; now the champion")
    _metrics(out, card.metrics, card.target_precision)


def engine(out: Console, built: EngineCard) -> None:
    verdict = "[green]passed[/green]" if built.gate.passed else "[red]refused[/red]"
    out.print(f"[bold]engine {built.identity}[/bold]  gate {verdict}: {built.gate}")
    thresholds = ", ".join(
        f"{name} {'none certified' if c.threshold is None else f'{c.threshold:.3f}'}"
        for name, c in built.calibrations.items()
    )
    out.print(f"  thresholds certified on its own outputs: {thresholds}")


def tags(out: Console, summary: TagSummary) -> None:
    if not summary.selected:
        out.print(
            f"[bold]tags[/bold]  nothing to tag: every listing is tagged by {summary.model_version} ({summary.engine})"
        )
        return
    out.print(
        f"[bold]tags[/bold]  {summary.selected} listings selected = {summary.tagged} tagged + "
        f"{summary.rejected} rejected; {summary.accepted_tags} tags accepted, {summary.flags} noise flags\n"
        f"  by {summary.model_version} on {summary.engine}; published {summary.snapshot}"
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


def evaluation(out: Console, result: Evaluation) -> None:
    out.print(f"[bold]model {result.card.version}[/bold]  on {result.engine}, held-out products of the test split")
    _metrics(out, result.metrics, result.card.target_precision)


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
    table = _table("held-out", *columns.values())
    for name, values in metrics.items():
        table.add_row(name, *(_number(values[key]) for key in columns))
    out.print(table)
    out.print(
        f"  R@{target:.0%}: recall at the best threshold for {target:.0%} precision. "
        "Recall, precision and coverage: at the certified threshold."
    )


def demo(out: Console, score: DemoScore) -> None:
    table = _table("held-out, by truth", "listings", "accuracy", "R@90%", "accepted", "precision of accepted")
    for name, a in score.attributes.items():
        table.add_row(
            name,
            str(a.listings),
            *(_number(n) for n in (a.accuracy, a.recall_at_precision, a.coverage, a.precision)),
        )
    out.print(table)
    table = _table("planted fault", "planted", "found")
    for fault, found in score.faults.items():
        table.add_row(fault, str(found.planted), f"{found.found} ({found.found / found.planted:.0%})")
    out.print(table)
    table = _table("flag", "listings flagged", "with a planted fault", "precision")
    for kind, (flagged, right) in score.flags.items():
        table.add_row(kind, str(flagged), str(right), f"{right / flagged:.0%}" if flagged else "-")
    out.print(table)


def models(out: Console, rows: list[ModelRow]) -> None:
    table = _table("model", "preset", "made", "champion", "accuracy")
    for row in rows:
        accuracy = ", ".join(f"{name} {values['accuracy']:.1%}" for name, values in row.metrics.items())
        table.add_row(
            row.model_version,
            row.preset,
            f"{row.created_at:%Y-%m-%d %H:%M}",
            "yes" if row.champion else "",
            accuracy,
        )
    out.print(table if rows else "no models yet: train one with `cma train`")


def runs(out: Console, frame: pl.DataFrame) -> None:
    table = _table("run", "flow", "started (UTC)", "seconds", "state", "summary")
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


def _table(*headings: str) -> Table:
    """Numbers and names stay whole; only the last column gives way to a narrow terminal."""
    columns = [Column(heading, no_wrap=place < len(headings) - 1) for place, heading in enumerate(headings)]
    return Table(*columns)


def _brief(summary: str | None) -> str:
    values: dict[str, Any] = json.loads(summary or "{}")
    return ", ".join(f"{key} {value}" for key, value in values.items() if isinstance(value, str | int | float))[:160]


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and value > 1 else "-" if value != value else f"{value:.3f}"
