"""``harness judge``."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.exits import Exit
from harness.cli.options import report_from, report_option
from harness.terminal import write_json

if TYPE_CHECKING:
    from harness.execution.session import Run
    from harness.report import Report


BOUND = click.FloatRange(min=0)


def _bound(context: click.Context, option: click.Parameter, value: float | None) -> float | None:
    """Return a valid bound; end the command with the reason if it is not valid."""
    from harness.case import tolerances

    if value is not None and (problem := tolerances.of_number(value)):
        raise click.BadParameter(problem, context, option)
    return value


@click.command("judge")
@click.argument("folder", metavar="REPORT", type=click.Path(path_type=Path))
@click.option(
    "--rtol",
    type=BOUND,
    callback=_bound,
    help="Relative tolerance: |actual - expected| may be atol + rtol |expected|; 0 if only --atol is given.",
)
@click.option("--atol", type=BOUND, callback=_bound, help="Absolute tolerance; 0 if only --rtol is given.")
@click.option("--baseline", metavar="NAME", help="Implementation to compare with, in place of the report's baseline.")
@report_option("--out", None, "Folder for the new report; none is written by default.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    folder: Path, rtol: float | None, atol: float | None, baseline: str | None, out: Path | None, as_json: bool
) -> None:
    """Judge the results of a report again, with other tolerances or another baseline, without running anything."""
    from harness import report
    from harness.cli.overview import show_report
    from harness.cli.run import described
    from harness.report.again import again
    from harness.report.judging import judged_anew
    from harness.report.kept import Damaged
    from harness.terminal.words import counted

    saved = report_from(folder)
    if baseline is not None:
        _check_baseline(saved, baseline)
    if not saved.kept:
        raise click.UsageError(f"{folder} holds no tensors; run it again without --tensors none")
    tolerance = None if rtol is None and atol is None else {"rtol": rtol or 0.0, "atol": atol or 0.0}
    try:
        if out is not None:
            report.check(out)
        run = judged_anew(saved, tolerance, baseline)
    except (report.NotAReport, Damaged) as error:
        raise click.UsageError(str(error)) from None
    found = report.of_run(run, saved.folder, again=again(saved.environment).typed)
    if out is not None:
        report.write(found, out)
    left = [row for row in saved["cases"] if row["case"] not in saved.kept]
    if left:
        click.echo(f"warning: the tensors of {counted(len(left), 'case')} were not kept", err=True)
    wrong = [row for row in left if not row["as_expected"]]
    for row in wrong:
        click.echo(f"warning: {row['case']} was not judged again: {row['surprise']}", err=True)
    status = exit_status(run, {row["verdict"] for row in wrong})
    if as_json:
        write_json(described(run, out or folder, status))
    else:
        show_report(found, out or folder)
    raise click.exceptions.Exit(status)


def exit_status(run: Run, others: Set[str] = frozenset()) -> Exit:
    """Return the exit status of a run that was judged again.

    Args:
        run: the run that was judged again.
        others: the unexpected verdicts on cases that could not be judged again.
    """
    if run.failed_implementations or "error" in others:
        return Exit.IMPLEMENTATION_FAILED
    if run.surprises or others:
        return Exit.MISMATCH
    return Exit.AS_EXPECTED if run.tensors_compared else Exit.NOTHING_SELECTED


def _check_baseline(saved: Report, baseline: str) -> None:
    from harness.casefile import nearest

    there = list(dict.fromkeys(row["implementation"] for row in saved["runs"]))
    if baseline not in there:
        hint = nearest(baseline, there) or f"it has {', '.join(there)}"
        raise click.UsageError(f"the report has no implementation {baseline!r}; {hint}")
