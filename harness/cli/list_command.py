"""``harness list``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from harness.cli.exits import Exit
from harness.terminal import write_json

if TYPE_CHECKING:
    from harness.recurrences import Recurrence


@click.group("list")
def command() -> None:
    """List cases, implementations or faults."""


@command.command("cases")
@click.option("--library", "of_library", is_flag=True, help="List the library, even if there is a folder cases/ here.")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def cases(of_library: bool, as_json: bool) -> None:
    """List every case below cases/, with its purpose; without that folder here, the library's."""
    from harness.case import library
    from harness.cli.options import end_without_cases, load_cases

    loaded = load_cases([str(library())] if of_library else [], or_library=True)
    if as_json:
        write_json([{"name": case.name, "about": case.about} for case in loaded.cases])
    else:
        _table("Cases", ["case", "about"], [[case.name, case.about] for case in loaded.cases])
    end_without_cases(loaded)
    if loaded.mistakes:
        raise click.exceptions.Exit(Exit.BAD_INPUT)


@command.command("implementations")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def implementations(as_json: bool) -> None:
    """List every implementation, its weight layout, and whether it can run here."""
    from harness.implementations import implementations, install_line, missing_modules

    rows = []
    for name, each in implementations().items():
        missing = missing_modules(each.framework)
        ready = f"{missing[0]} is missing; {install_line(each.framework)}" if missing else "yes"
        ready = each.framework.reason_against_machine or ready
        rows.append(
            {"name": name, "layout": each.layout, "process": each.framework.name, "ready": ready, "about": each.about}
        )
    if as_json:
        write_json(rows)
    else:
        _table("Implementations", list(rows[0]), [list(row.values()) for row in rows])


@command.command("recurrences")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def recurrences(as_json: bool) -> None:
    """List every recurrence of the library, with its shapes; a case names one as its cell."""
    from harness.recurrences import recurrences

    found = [recurrences()[name] for name in sorted(recurrences())]
    if as_json:
        write_json([each.declared for each in found])
    else:
        rows = [[each.name, "\n".join(_shapes(each)), each.about] for each in found]
        _table("Recurrences", ["recurrence", "shapes at one step of one sequence", "about"], rows)


def _shapes(recurrence: Recurrence) -> Iterator[str]:
    """Yield the shapes of each kind of array that a recurrence declares, in a line each."""
    for kind in ("weights", "inputs", "state", "context"):
        shapes = getattr(recurrence, kind)
        if shapes:
            yield f"{kind}: {', '.join(f'{name} ({text})' for name, text in shapes.items())}"
    if recurrence.optional:
        yield f"optional: {', '.join(recurrence.optional)}"
    if recurrence.held:
        yield f"held fixed: {', '.join(sorted(recurrence.held))}"


@command.command("faults")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def faults(as_json: bool) -> None:
    """List every name that a diagnosis can give: the faults of the catalogue, and other descriptions of numbers."""
    from harness.diagnosis.explanation import OTHER_NAMES
    from harness.diagnosis.sight import catalogue
    from harness.diagnosis.training_faults import catalogue as of_training

    names = {**catalogue(), **of_training(), **OTHER_NAMES}
    if as_json:
        described = [{"name": name, "about": about} for name, about in names.items()]
        write_json(described)
    else:
        _table("Faults", ["fault", "effect on the numbers"], [[name, text] for name, text in names.items()])


def _table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    from harness.cli.screen import table

    table(title, columns, rows)
