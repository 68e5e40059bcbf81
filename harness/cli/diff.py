"""``harness diff``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.exits import Exit
from harness.cli.options import report_from
from harness.terminal import write_json

if TYPE_CHECKING:
    from harness.report.difference import Changed, Difference

MAX_SHOWN = 40


@click.command("diff")
@click.argument("before", metavar="REPORT_A", type=click.Path(path_type=Path))
@click.argument("after", metavar="REPORT_B", type=click.Path(path_type=Path))
@click.option("--ignore-new", is_flag=True, help="Leave out cases that only REPORT_B has.")
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
def command(before: Path, after: Path, ignore_new: bool, as_json: bool) -> None:
    """Show the changes from one report to another; the exit status is 1 if something got worse.

    These changes are worse: a new mismatch or error that its case does not expect; a numerical error that grew tenfold;
    an implementation, a tensor or an element that is no longer compared. These changes are shown, too: tolerances
    that grew tenfold, versions, and cases that only one of the two reports has.
    """
    from harness.report.difference import difference

    found = difference(report_from(before), report_from(after), with_new=not ignore_new)
    if as_json:
        write_json({"worse": len(found.worse), **asdict(found)})
    else:
        _table("Implementations", ["implementation"], found.implementations)
        _table("Verdicts", ["case", "implementation"], found.verdicts)
        _table("Tensors", ["case", "implementation", "tensor"], found.tensors)
        _table("Errors that grew tenfold", ["case", "implementation", "tensor"], found.errors)
        _table("Tolerances that grew tenfold", ["case", "tensor"], found.tolerances)
        _table("Cases", ["case"], found.cases)
        _table("Versions", ["name"], found.versions)
        click.echo(_conclusion(found))
    raise click.exceptions.Exit(Exit.MISMATCH if found.worse else Exit.AS_EXPECTED)


def _conclusion(found: Difference) -> str:
    from harness.terminal.words import counted

    if found.worse:
        return f"Failed: {counted(len(found.worse), 'change')} for the worse."
    return "Passed: nothing changed." if found.nothing else "Passed: nothing got worse."


def _table(title: str, columns: Sequence[str], changes: Sequence[Changed]) -> None:
    from harness.cli.screen import table

    if not changes:
        return
    first = sorted(changes, key=lambda each: not each.worse)[:MAX_SHOWN]
    rows = [[*filter(None, [each.case, each.implementation, each.tensor]), each.before, each.after] for each in first]
    table(title, [*columns, "before", "after"], rows)
    if len(changes) > MAX_SHOWN:
        click.echo(f"... and {len(changes) - MAX_SHOWN:,} more; --json prints all\n")
