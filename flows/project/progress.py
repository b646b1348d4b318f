"""Progress bars for people: on a terminal only, and on standard error, so that piped output stays clean."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

console = Console(stderr=True, highlight=False)


class Advance(Protocol):
    """Moves a bar on by `count`; a new `total` or `note` replaces the one before."""

    def __call__(self, count: int = 1, *, total: int | None = None, note: str | None = None) -> None: ...


@contextmanager
def bar(what: str, total: int | None) -> Iterator[Advance]:
    """Shows a bar until the block ends; a `total` of None is not known yet."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task, shown = progress.add_task(what, total=total, note=""), ""

        def advance(count: int = 1, *, total: int | None = None, note: str | None = None) -> None:
            nonlocal shown
            shown = shown if note is None else note
            progress.update(task, advance=count, total=total, note=shown)

        yield advance
