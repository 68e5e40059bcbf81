"""Tables and progress in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on standard output, as wide as its content where that is no terminal."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=max(80, _width(title, columns, rows)))
    printed = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        printed.add_column(column, overflow="fold")
    for row in rows:
        printed.add_row(*map(escape, row))
    console.print(printed)


def _width(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    return max(len(title), sum(widths) + 3 * len(columns))


@contextmanager
def progress(total: int) -> Iterator[Callable[[int, Sequence[str]], None]]:
    """Show a progress bar on standard error; yield a function that takes the cases done and what is still starting."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.completed}/{task.total} cases"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[starting]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("cases", total=total, starting="")

        def update(done: int, starting: Sequence[str]) -> None:
            bar.update(task, completed=done, starting=f"starting {', '.join(starting)}" if starting else "")

        yield update
