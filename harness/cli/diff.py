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
    from harness.report.difference import Changed

MAX_SHOWN = 40


@click.command("diff")
@click.argument("before", metavar="REPORT_A", type=click.Path(path_type=Path))
@click.argument("after", metavar="REPORT_B", type=click.Path(path_type=Path))
@click.option("--ignore-new", is_flag=True, help="Leave out the cases that only REPORT_B has.")
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
def command(before: Path, after: Path, ignore_new: bool, as_json: bool) -> None:
    """Show what changed from one report to another; the status is 1 if something got worse.

    Worse is a mismatch or an error that was none, or is new, and that its case does not expect; an error that grew
    tenfold; and an implementation, a tensor or an element of a case that was compared and no longer is. Also shown are
    tolerances that allow ten times as much, versions, and cases that are in one of the two alone.
    """
    from harness.report.difference import difference

    found = difference(report_from(before), report_from(after), with_new=not ignore_new)
    if as_json:
        write_json({"worse": len(found.worse), **asdict(found)})
    else:
        _table("Implementations", ["implementation", "was", "is"], found.implementations)
        _table("Verdicts", ["case", "implementation", "was", "is"], found.verdicts)
        _table("Tensors", ["case", "implementation", "tensor", "was", "is"], found.tensors)
        _table("Errors that grew tenfold", ["case", "implementation", "tensor", "was", "is"], found.errors)
        _table("Tolerances that grew tenfold", ["case", "tensor", "was", "is"], found.tolerances)
        _table("Cases", ["case", "was", "is"], found.cases)
        _table("Versions", ["of", "was", "is"], found.versions)
        click.echo("nothing changed" if found.nothing else f"{len(found.worse)} got worse")
    raise click.exceptions.Exit(Exit.MISMATCH if found.worse else Exit.AS_EXPECTED)


def _table(title: str, columns: Sequence[str], changes: Sequence[Changed]) -> None:
    from harness.cli.screen import table

    if not changes:
        return
    first = sorted(changes, key=lambda each: not each.worse)[:MAX_SHOWN]
    rows = [[*filter(None, [each.case, each.implementation, each.tensor]), each.before, each.after] for each in first]
    table(title, columns, rows)
    if len(changes) > MAX_SHOWN:
        click.echo(f"... and {len(changes) - MAX_SHOWN} more; --json has all\n")
