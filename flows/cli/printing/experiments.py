"""Prints the results of the demonstration, an ablation and a bench."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from flows.cli.printing.tables import new_table
from flows.experiments.ablation_tables import tables
from flows.experiments.result_table import ResultTable
from flows.reports.metric_texts import number_text

if TYPE_CHECKING:  # a summary's type is not loaded to print it
    from flows.experiments.ablate import AblationSummary
    from flows.experiments.bench import BenchSummary, Row
    from flows.experiments.demo import DemoScore
    from flows.experiments.learning_curves import CurvesSummary

# Contenders that are no engine; an engine is printed by its own name.
_CONTENDERS = {
    "naive": "naive PyTorch: eager, titles padded",
    "worker": "a worker of cma tag, on the best of these",
}


def print_ablation(out: Console, summary: AblationSummary) -> None:
    _print_tables(out, tables(summary.results))
    out.print(f"{summary.folder / 'ablation.md'}", markup=False)


def print_curves(out: Console, summary: CurvesSummary) -> None:
    _print_tables(out, summary.tables)
    out.print(f"{summary.folder / 'learning-curves.md'}\n{summary.folder / 'learning-curves.svg'}", markup=False)


def _print_tables(out: Console, found_tables: Iterable[ResultTable]) -> None:
    for found in found_tables:
        table = new_table(*found.headings)
        for row in found.rows:
            table.add_row(*row)
        out.print(f"[bold]{escape(found.title)}[/bold]")
        out.print(table)
        out.print(f"  {found.note}", markup=False)


def print_demo(out: Console, score: DemoScore) -> None:
    table = new_table("held-out, by truth", "listings", "accuracy", "R@90%", "accepted", "precision of accepted")
    for name, a in score.attributes.items():
        table.add_row(
            name,
            str(a.listings),
            *(number_text(n) for n in (a.accuracy, a.recall_at_precision, a.coverage, a.precision)),
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
        f"{_CONTENDERS.get(row.kind, row.kind)} ({row.precision})",
        f"{row.rate:.1f}",
        f"{row.of_naive:.2f}",
        f"{row.of_roofline:.0%}",
        *answers,
        f"{row.peak_memory / 2**30:.2f} GiB",
        f"{row.load_seconds:.1f} s",
    )
