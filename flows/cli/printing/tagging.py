"""Prints what a tagging run, a report and a night did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from flows.cli.printing.ingestion import print_feeds

if TYPE_CHECKING:  # a summary's type is not loaded to print it
    from flows.nightly import NightlySummary
    from flows.reports.noise_report import ReportSummary
    from flows.tagging.summary import TagSummary


def print_tags(out: Console, summary: TagSummary) -> None:
    if not (summary.selected or summary.left):
        out.print(
            f"[bold]tags[/bold]  nothing to tag: every listing is tagged by {summary.model_version} ({summary.engine})"
        )
        return
    kept = f"{summary.from_features} of them from stored features; " if summary.from_features else ""
    out.print(
        f"[bold]tags[/bold]  {summary.selected} listings selected = {summary.tagged} tagged + "
        f"{summary.rejected} rejected; {summary.accepted_tags} tags accepted, {summary.flags} noise flags\n"
        f"  {kept}by {summary.model_version} on {summary.engine}; published {summary.snapshot}"
    )
    changes = {
        "tags changed with their listings": summary.changed_tags,
        "tags changed by another model or certificate": summary.changed_by_rules,
        "flags are new": summary.flags_raised,
        "flags are gone": summary.flags_removed,
    }
    if told := "; ".join(f"{count} {what}" for what, count in changes.items() if count):
        out.print(f"  since the run before: {told} (views tag_changes, flag_changes)")
    if summary.left:
        out.print(f"  {summary.left} listings are left for the next run")
    for feed, names in summary.uncertified.items():
        out.print(f"  feed {feed}: {', '.join(names)} not certified, so none of their tags is accepted")
    if summary.provisional_tags:
        out.print(
            f"  {summary.provisional_tags} of these would be accepted on other feeds: see the view provisional_tags"
        )
    for drift in summary.drift:
        if drift.drifted:
            out.print(
                f"  [yellow]feed {drift.feed}: the confidences of {drift.attribute} have drifted[/yellow] (KS "
                f"{drift.statistic:.2f}, p {drift.p_value:.0e}, {drift.listings} listings): label some hundreds of its "
                f"new listings and run `cma certify {drift.feed}`, or train again"
            )


def print_report(out: Console, summary: ReportSummary) -> None:
    counts = ", ".join(f"{count} {kind}" for kind, count in summary.flags.items()) or "nothing flagged"
    out.print(
        f"[bold]noisy-listing report[/bold]  {summary.page}\n  {counts}; {summary.rejected} rejected rows",
        soft_wrap=True,
    )


def print_night(out: Console, night: NightlySummary) -> None:
    print_feeds(out, night.feeds)
    print_tags(out, night.tags)
    print_report(out, night.report)
