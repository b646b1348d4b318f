"""Prints what an ingest did, merged shards, and past runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from flows.cli.printing.tables import new_table

if TYPE_CHECKING:  # a summary's type is not loaded to print it
    import polars as pl

    from catalog_io.catalog.compaction import Compacted
    from flows.ingestion.ingest import FeedSummary
    from flows.project.disk import Usage

_WORDS_SHOWN = 6  # label words
_GARBLED_SHOWN = 60  # characters


def print_feeds(out: Console, summaries: list[FeedSummary]) -> None:
    """Prints what became of each feed's rows, pictures, listings and label words."""
    for feed in summaries:
        several = f" = {feed.listings} listings" if feed.listings != feed.accepted else ""
        out.print(
            f"[bold]feed {feed.feed}[/bold]  {feed.read} rows read = {feed.accepted} accepted{several} "
            f"({feed.inserted} new, {feed.updated} changed, {feed.unchanged} unchanged) + {feed.rejected} rejected"
        )
        for code, count in feed.reasons.items():
            out.print(f"  rejected: {count} × {code}")
        if feed.undecoded:
            out.print(
                f"  {feed.undecoded} of these rows are not text in the feed's encoding; where the whole file is in "
                f"another one, set `encoding` in [feeds.{feed.feed}]",
                markup=False,
            )
        if feed.garbled:
            out.print(
                f"  {feed.garbled} titles and label words look like text in a wrong encoding, such as "
                f"{feed.garbled_example[:_GARBLED_SHOWN]!r}: correct `encoding` in [feeds.{feed.feed}], or have the "
                "feed written anew where it has them so",
                markup=False,
            )
        if feed.pictures_worked:
            out.print(f"  pictures: {feed.pictures_worked} fetched or checked, {feed.pictures_new} new ones stored")
        for code, count in feed.picture_faults.items():
            out.print(f"  unusable pictures: {count} × {code}")
        for note, count in feed.picture_notes.items():
            out.print(f"  doubtful pictures, which are used: {count} × {note}", markup=False)
        if feed.without_picture:
            out.print(f"  {feed.without_picture} listings have no usable picture and will be tagged from their titles")
        if feed.gone or feed.returned:
            out.print(f"  {feed.gone} listings are no longer in the feed and now inactive; {feed.returned} came back")
        for attribute, labels in feed.labels.items():
            outside = f"{labels.outside} outside the taxonomy{_words(labels.outside_words)}"
            unusable = f"{labels.unusable} unusable{_words(labels.unusable_words)}"
            out.print(f"  labels of {attribute}: {labels.values} with a value, {outside}, {unusable}", markup=False)


def _words(listings: dict[str, int]) -> str:
    """The commonest words in brackets, with the number of their listings."""
    shown = [f"{word} {count}" for word, count in list(listings.items())[:_WORDS_SHOWN]]
    more = f" and {len(listings) - len(shown)} more words" if len(listings) > len(shown) else ""
    return f" ({', '.join(shown)}{more})" if shown else ""


def print_compacted(out: Console, done: Compacted) -> None:
    out.print(
        f"[bold]pictures[/bold]  {done.merged} small shards merged into {done.into}; "
        f"{done.removed} files removed that were unused for a day"
    )


def print_disk(out: Console, home: Path, parts: list[Usage]) -> None:
    table = new_table("MB", "files", "part")
    for part in parts:
        table.add_row(f"{part.size / 1e6:,.1f}", f"{part.files:,}", part.part)
    out.print(table)
    free = shutil.disk_usage(home).free if home.exists() else 0
    total = sum(part.size for part in parts)
    out.print(f"{total / 1e9:.2f} GB in {home}; {free / 1e9:.1f} GB are free on its disk", markup=False)


def print_runs(out: Console, frame: pl.DataFrame) -> None:
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


def _brief(summary: str | None) -> str:
    values: dict[str, Any] = json.loads(summary or "{}")
    return ", ".join(f"{key} {value}" for key, value in values.items() if isinstance(value, str | int | float))[:160]
