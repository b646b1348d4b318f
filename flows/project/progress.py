"""Progress bars for people: on a terminal only, and on standard error, so that piped output stays clean."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

console = Console(stderr=True, highlight=False)


@contextmanager
def bar(what: str, total: int | None) -> Iterator[Callable[..., None]]:
    """Shows a bar and yields `advance(count=1, total=…, note=…)`; a `total` of None is not known yet."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(what, total=total, note="")

        def advance(count: int = 1, *, total: int | None = None, note: str | None = None) -> None:
            changes = {"total": total, "note": note}
            progress.update(task, advance=count, **{k: v for k, v in changes.items() if v is not None})  # type: ignore[arg-type]

        yield advance
