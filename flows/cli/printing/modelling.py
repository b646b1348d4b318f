"""Prints trained models: their metrics, engines, certificates and promotion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from flows.cli.printing.tables import new_table
from flows.reports.metric_texts import kept_title, metric_titles, number_text, with_interval

if TYPE_CHECKING:  # a summary's type is not loaded to print it
    from catalog_io.catalog.model_records import ModelRow
    from flows.modelling.certify import CertifySummary
    from flows.modelling.evaluate import Evaluation
    from flows.modelling.promotion import Switched
    from flows.modelling.train import TrainSummary
    from models.evaluation.comparison import Comparison, Difference
    from models.lifecycle.engine_card import EngineCard
    from models.rules.certificates import Calibration, Certificate, Certificates


def print_trained(out: Console, done: TrainSummary) -> None:
    card, verdict = done.card, done.verdict
    counts = ", ".join(f"{count} {split}" for split, count in card.listings.items())
    out.print(f"[bold]model {card.version}[/bold]  preset {card.preset.name}; {counts} listings")
    if (encoder := done.encoder) is not None:
        out.print(
            f"  heads on the encoder of {encoder.source}: features of {encoder.stored} inputs were stored, those of "
            f"{encoder.made} were computed on its {encoder.engine} engine"
        )
    _print_metrics(out, card.metrics, card.target_precision)
    if verdict.comparison:
        print_comparison(out, verdict.comparison)
    if verdict.promoted:
        compiled = encoder is not None and encoder.engine != "torch"
        following = "`cma tag`, it has its engine already" if compiled else "`cma compile` to build its engine"
        out.print(f"  it is the champion now: {verdict.reason}; run {following}")
    else:
        objections = verdict.comparison.objections if verdict.comparison else []
        reason = "for the reasons above" if objections else verdict.reason
        out.print(
            f"  [yellow]{verdict.champion} stays the champion[/yellow]: {reason}\n"
            f"  to promote it anyway: cma models promote {card.version}"
        )


def print_comparison(out: Console, found: Comparison) -> None:
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


def print_champion(out: Console, now: Switched) -> None:
    out.print(f"[bold]{now.model_version}[/bold] is the champion; the next `cma tag` uses it")
    if now.trouble:
        out.print(f"  its {now.backend} engine {now.trouble}: run `cma compile` first")
    else:
        out.print(f"  it tags on the {now.backend} engine")


def print_engines(out: Console, tried: Sequence[EngineCard]) -> None:
    for built in tried:
        verdict = "[green]passed[/green]" if built.gate.passed else "[red]refused[/red]"
        out.print(f"[bold]engine {built.identity}[/bold]  gate {verdict}: {built.gate}")
    _print_certificates(out, tried[-1].certificates, tried[-1].certificates.feeds)


def print_certified(out: Console, done: CertifySummary) -> None:
    out.print(f"[bold]certificates[/bold]  of {done.model_version} on {done.engine}")
    _print_certificates(out, done.certificates, done.feeds)
    out.print("  the next `cma tag` tags again the feeds whose certificates have changed")


def _print_certificates(out: Console, made: Certificates, feeds: Iterable[str]) -> None:
    """Prints a line for each feed and attribute: the certified threshold, or why there is none."""
    promise = made.promise
    out.print(
        f"  certified for {promise.target_precision:.0%} precision at {promise.confidence:.0%} confidence, "
        f"by {promise.by}:"
    )
    for feed in feeds:
        for name, calibration in made.feeds[feed].items():
            found = calibration.certificate
            worth = f" (as much evidence as {found.worth} unrelated ones)" if found.worth < found.listings else ""
            labelled = f"{found.listings}{worth}"
            ece = f"ECE {number_text(calibration.ece_before)} → {number_text(calibration.ece_after)}"
            if calibration.certified:
                share = f"from confidence {_thresholds(calibration)} on"
                if promise.by == "attribute":
                    share += f": {found.right} of {found.accepted} right, {labelled} labelled"
            else:
                share = f"nothing, of {labelled} labelled listings; {_more_labels(found)}"
            out.print(f"    {feed} {name}: {share} ({ece})")


def _more_labels(found: Certificate) -> str:
    if found.threshold is not None:
        return "no single value can be certified: set tag.certify to attribute, or label more"
    return (
        f"about {found.labels_needed} more may be enough" if found.labels_needed else "more labels will not be enough"
    )


def _thresholds(calibration: Calibration) -> str:
    found = sorted({threshold for threshold in calibration.thresholds if threshold is not None})
    return f"{found[0]:.3f}" if len(found) == 1 else f"{found[0]:.3f}–{found[-1]:.3f}, by value,"


def print_evaluation(out: Console, done: Evaluation, *, values: bool = False) -> None:
    results = done.results
    feeds = ", ".join(f"{count} of {feed}" for feed, count in results.feeds.items())
    out.print(f"[bold]model {done.model.version}[/bold]  on {done.engine}; {results.split} split, listings: {feeds}")
    if results.split != "test":
        out.print(
            f"  [yellow]the {results.split} split was used to make this model: these figures are too good[/yellow]"
        )
    table = new_table("with 95 % intervals", *results.attributes)
    subsets = [found.overall for found in results.attributes.values()]
    table.add_row("labelled", *(str(subset.labelled) for subset in subsets))
    table.add_row("of these outside the taxonomy", *(str(subset.outside) for subset in subsets))
    for metric, heading in metric_titles(results.target_precision).items():
        table.add_row(heading, *(with_interval(subset.metrics[metric]) for subset in subsets))
    table.add_row(kept_title(results.target_precision), *(number_text(subset.promise_kept) for subset in subsets))
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


def _print_metrics(out: Console, metrics: Mapping[str, Mapping[str, float]], target: float) -> None:
    columns = {
        "labelled": "labelled",
        "outside": "outside",
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
        table.add_row(name, *(number_text(values[key]) for key in columns))
    out.print(table)
    out.print(
        f"  R@{target:.0%}: recall at the best threshold for {target:.0%} precision. "
        "Recall, precision and coverage: at the certified threshold. Outside: listings with none of the values, "
        "where every accepted tag is wrong."
    )


def print_models(out: Console, rows: list[ModelRow]) -> None:
    table = new_table("model", "state", "made (UTC)", "preset", "listings", "data", "parent", "accuracy / R@target")
    for row in rows:
        shares = (
            f"{name} {number_text(values.get('accuracy'))} / {number_text(values.get('recall_oracle'))}"
            for name, values in row.metrics.items()
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
    out.print(table if rows else "there are no models yet: train one with `cma train`")
