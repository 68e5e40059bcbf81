"""A report: a run's tables and what it ran on, whether the run is at hand or was read back from a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from harness.casefile import visible
from harness.execution.session import Run
from harness.report import environment, tables
from harness.report.table import Row

STREAMED = "elements"
"""The table that may be larger than memory: its rows are iterated over, not held."""

MOST_LETTERS = 30_000
"""Maximum number of characters of a text in a report; a cell of a spreadsheet holds 32,767."""


@dataclass(frozen=True, eq=False)
class Report:
    """The findings of a run, as tables.

    Attributes:
        environment: the environment of the run, as plain data for JSON.
        tables: the rows of each table except ``elements``, by the table's name.
        elements: returns an iterator over the rows of ``elements``.
        folder: the folder of the kept tensors, which the table ``cases`` names; None if none were kept.
        plotted: whether its page has plots; they take a second or two.
        dated: whether it has the date of each disagreement, from the report that it replaces.
    """

    environment: Mapping[str, Any]
    tables: Mapping[str, Sequence[Row]]
    elements: Callable[[], Iterator[Row]]
    folder: Path | None = None
    plotted: bool = True
    dated: bool = True

    def __getitem__(self, table: str) -> Sequence[Row]:
        return self.tables[table]

    @property
    def kept(self) -> dict[str, Path]:
        """The files of the tensors that were kept, by case."""
        folder = self.folder
        return {} if folder is None else {r["case"]: folder / r["tensors"] for r in self["cases"] if r["tensors"]}


def modules() -> dict[str, ModuleType]:
    """Return the modules that make the tables, by the tables' names."""
    return {each.name: import_module(f"{tables.__name__}.{each.name}") for each in iter_modules(tables.__path__)}


def of_run(
    run: Run, folder: Path | None = None, *, again: str = "harness run", plotted: bool = True, dated: bool = True
) -> Report:
    """Return the report of a run.

    Args:
        run: the run.
        folder: the folder of its kept tensors; None if none were kept.
        again: the command that repeats it, without a case.
        plotted: whether its page has plots.
        dated: whether it has the date of each disagreement.
    """
    makers = modules()

    def rows(name: str) -> Iterator[Row]:
        return ({column: _writable(cell) for column, cell in row.items()} for row in makers[name].rows(run))

    held = {name: list(rows(name)) for name in makers if name != STREAMED}
    about = _writable({**environment.described(run), "again": again})
    return Report(about, held, lambda: rows(STREAMED), folder, plotted, dated)


def _writable(value: Any) -> Any:
    """Return a value with texts that every file of a report can hold.

    They come from cases, frameworks and user code: an odd character in one of them must not prevent the report.
    """
    if isinstance(value, str):
        shown = visible(value[:MOST_LETTERS])
        is_whole = len(value) <= MOST_LETTERS and len(shown) <= MOST_LETTERS
        return shown if is_whole else f"{shown[:MOST_LETTERS]} … ({len(value):,} characters in all)"
    if isinstance(value, Mapping):
        return {_writable(key): _writable(each) for key, each in value.items()}
    return [_writable(each) for each in value] if isinstance(value, list) else value
