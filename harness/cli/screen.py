"""Tables and progress in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text


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


class Starting(ProgressColumn):
    """What is still starting, asked anew each time the bar is drawn."""

    def __init__(self, names: Callable[[], Sequence[str]]) -> None:
        super().__init__()
        self.names = names

    def render(self, task: Task) -> Text:
        """Return the column's text."""
        del task
        names = self.names()
        return Text(f"starting {', '.join(names)}" if names else "", style="dim")


@contextmanager
def progress(total: int, starting: Callable[[], Sequence[str]], what: str = "cases") -> Iterator[Callable[[int], None]]:
    """Show a progress bar on standard error, if that is a terminal.

    Args:
        total: how many there are.
        starting: returns the frameworks that are still starting.
        what: what they are, in the plural.

    Yields:
        A function that takes the number of those that are done.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn(f"{{task.completed}}/{{task.total}} {what}"),
        BarColumn(),
        TimeElapsedColumn(),
        Starting(starting),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
