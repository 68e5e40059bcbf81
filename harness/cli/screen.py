"""Tables and progress in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO, cast

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from harness.terminal import Door, printable


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on standard output, as wide as its content if that is not a terminal."""
    columns = [printable(column) for column in columns]
    rows = [[printable(cell) for cell in row] for row in rows]
    console = Console(file=_styled(sys.stdout), highlight=False)
    if not console.is_terminal:
        console.width = max(80, _width(title, columns, rows))
    printed = Table(
        title=Text(printable(title), style="table.title"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for column in columns:
        printed.add_column(Text(column), overflow="fold")
    for row in rows:
        printed.add_row(*map(Text, row))
    console.print(printed)


def _styled(stream: object) -> TextIO:
    """Return the stream that takes styles; everything else in the text must be printable."""
    return cast(TextIO, stream.styled if isinstance(stream, Door) else stream)


def _width(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    return max(len(title), sum(widths) + 3 * len(columns))


class Starting(ProgressColumn):
    """The frameworks that are still starting, asked for each time the bar is drawn."""

    def __init__(self, names: Callable[[], Sequence[str]]) -> None:
        super().__init__()
        self.names = names

    def render(self, task: Task) -> Text:
        """Return the column's text."""
        del task
        names = self.names()
        return Text(printable(f"starting {', '.join(names)}") if names else "", style="dim")


@contextmanager
def progress(total: int, starting: Callable[[], Sequence[str]], what: str = "cases") -> Iterator[Callable[[int], None]]:
    """Show a progress bar on standard error, if that is a terminal.

    Args:
        total: the number of items.
        starting: returns the frameworks that are still starting.
        what: the name of the items, in the plural.

    Yields:
        A function that takes the number of finished items.
    """
    console = Console(file=_styled(sys.stderr))
    columns = (
        TextColumn(f"{{task.completed}}/{{task.total}} {what}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        Starting(starting),
    )
    shown = console.is_terminal
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, disable=not shown) as bar:
        if shown:  # rich prints above the bar, and obeys escape sequences
            sys.stderr = cast(TextIO, Door(sys.stderr))
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
