"""``harness run``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.exits import Exit
from harness.cli.options import cases_argument, chosen, end_without_cases, load_cases

if TYPE_CHECKING:
    from harness.case import Loaded
    from harness.session import Run


@click.command("run")
@cases_argument
@click.option("--impl", "names", metavar="A,B", help="Only these implementations.")
@click.option("--baseline", default="numpy-split", show_default=True, help="What the others are compared with.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("reports/latest"),
    show_default=True,
    help="The report's folder.",
)
@click.option(
    "--elements",
    type=click.Choice(["failed", "all", "none"]),
    default="failed",
    show_default=True,
    help="Which elements to list one by one.",
)
@click.option(
    "--tensors",
    type=click.Choice(["all", "failed", "none"]),
    default="all",
    show_default=True,
    help="Of which cases to keep the tensors, for harness judge and show: all, or those not as expected.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    cases: tuple[str, ...],
    names: str | None,
    baseline: str,
    out: Path,
    elements: Any,
    tensors: Any,
    as_json: bool,
) -> None:
    """Run cases, compare each implementation with the baseline, write the report.

    CASE is a file, a folder, or a case's name, such as basic/tanh; all of cases/ if none is named.
    """
    from harness import report
    from harness.cli.overview import show_report
    from harness.cli.screen import progress
    from harness.implementations import implementations
    from harness.session import execute, not_installed
    from harness.worker import Workers

    named = chosen(names.split(",")) if names is not None else []
    (of_baseline,) = chosen([baseline])
    asked = named or list(implementations().values())
    loaded = load_cases(cases)
    end_without_cases(loaded)
    try:
        report.check(out)
    except report.NotAReport as error:
        raise click.UsageError(str(error)) from None
    if not named:
        for line in not_installed(asked):
            click.echo(f"warning: {line}", err=True)
    with report.Keeper(out, tensors) as keeper:
        with Workers() as workers, progress(len(loaded.cases), workers.starting) as show:
            for run in execute(loaded.cases, asked, of_baseline, workers, elements, keeper.keep):
                show(len(run.outcomes))
        found = report.of_run(run, keeper.folder)
        report.write(found, out)
    status = exit_status(run, loaded)
    if as_json:
        click.echo(json.dumps(described(run, out, status), indent=2))
    else:
        for outcome, each in run.failed_implementations:
            if each.detail:
                click.echo(f"--- {each.implementation} on {outcome.case.name}:\n{each.detail.rstrip()}\n", err=True)
        show_report(found, out)
        if not run.tensors_compared:
            nothing = "nothing was compared; `harness list implementations` shows what can be named with --impl"
            click.echo(nothing, err=True)
    raise click.exceptions.Exit(status)


def exit_status(run: Run, loaded: Loaded) -> Exit:
    """Return the exit status of a run over what was loaded."""
    if loaded.mistakes:
        return Exit.BAD_INPUT
    if run.failed_implementations:
        return Exit.IMPLEMENTATION_FAILED
    if run.surprises:
        return Exit.MISMATCH
    if not run.tensors_compared:
        return Exit.NOTHING_SELECTED
    return Exit.AS_EXPECTED


def described(run: Run, out: Path, status: Exit) -> dict[str, Any]:
    """Return what --json prints."""
    from harness.report import of_run
    from harness.report.overview import compared_in_part, floor_line

    found = of_run(run)
    return {
        "report": str(out),
        "exit_status": int(status),
        "baseline": run.baseline,
        "cases": len(run.outcomes),
        "tensors_compared": run.tensors_compared,
        "elements_compared": run.elements_compared,
        "floor": floor_line(found),
        "compared_in_part": {each.implementation: str(each) for each in compared_in_part(found)},
        "seconds": run.seconds,
        "results": [
            {
                "case": outcome.case.name,
                "implementation": each.implementation,
                "verdict": each.verdict,
                "as_expected": outcome.as_expected,
                "reason": each.reason or "; ".join(map(str, each.comparison.disagreements if each.comparison else ())),
            }
            for outcome, each in run.comparisons
        ],
    }
