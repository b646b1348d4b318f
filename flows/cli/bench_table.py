"""What `cma bench` prints."""

from statistics import median

from rich.console import Console

from flows.cli.printing import new_table
from flows.experiments.bench import BenchSummary, Row

_NAMES = {
    "naive": "naive PyTorch: eager, titles padded",
    "torch": "torch",
    "openvino": "openvino",
    "cuda": "cuda",
    "tensorrt": "tensorrt",
    "worker": "a worker of cma tag, on the best of these",
}


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
