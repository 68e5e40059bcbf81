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

MAX_SHOWN = 20


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
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(cases: tuple[str, ...], names: str | None, baseline: str, out: Path, elements: Any, as_json: bool) -> None:
    """Run cases, compare each implementation with the baseline, write the report.

    CASE is a file, a folder, or a case's name, such as basic/tanh; all of cases/ if none is named.
    """
    from harness import report
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
    with Workers() as workers, progress(len(loaded.cases), workers.starting) as show:
        for run in execute(loaded.cases, asked, of_baseline, workers, elements):
            show(len(run.outcomes))
    report.write(run, out)
    status = exit_status(run, loaded)
    if as_json:
        click.echo(json.dumps(described(run, out, status), indent=2))
    else:
        _print(run, out)
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


def _print(run: Run, out: Path) -> None:
    from harness.cli.screen import table
    from harness.report.overview import (
        compared_in_part,
        disagreements,
        explained,
        floor_line,
        ill_conditioned,
        not_compared,
        status_line,
        training_line,
        worst_ratios,
    )

    wrong = disagreements(run)
    if wrong:
        table("What disagrees", ["case", "implementation", "what"], wrong[:MAX_SHOWN])
        if len(wrong) > MAX_SHOWN:
            click.echo(f"... and {len(wrong) - MAX_SHOWN} more in {out / 'comparisons.csv'}\n")
    if faults := explained(run):
        columns = ["implementation", "fault", "cases", "what it is"]
        table(
            "What the numbers say the fault is (more in diagnoses.csv)",
            columns,
            [[each.implementation, each.fault, str(each.cases), each.explanation] for each in faults[:MAX_SHOWN]],
        )
    for outcome in run.surprises:
        if outcome.case.expect == "mismatch":
            click.echo(f"{outcome.case.name}: {outcome.surprise}")
    for outcome, each in run.failed_implementations:
        if each.detail:
            click.echo(f"--- {each.implementation} on {outcome.case.name}:\n{each.detail.rstrip()}\n", err=True)
    worst = sorted(worst_ratios(run).items())
    if worst:
        rows = [[name, dtype, f"{each.ratio:.3g}", each.tensor, each.case] for (name, dtype), each in worst]
        table("Worst error ratio (above 1 is a mismatch)", ["implementation", "dtype", "worst", "tensor", "case"], rows)
    if absent := not_compared(run):
        rows = [[name, str(count), reason] for name, count, reason in absent]
        table("Not compared", ["implementation", "cases", "reason"], rows)
    if partial := compared_in_part(run):
        rows = [[each.implementation, str(each.cases), str(each)] for each in partial]
        table("Compared in part", ["implementation", "cases", "what was compared"], rows)
    if ill := ill_conditioned(run):
        table("Ill-conditioned: rounding explains what differs", ["case", "tensor", "why"], ill[:MAX_SHOWN])
        if len(ill) > MAX_SHOWN:
            click.echo(f"... and {len(ill) - MAX_SHOWN} more in {out / 'summary.md'}\n")
    click.echo(status_line(run))
    click.echo(floor_line(run))
    if trained := training_line(run):
        click.echo(trained)
    click.echo(f"{run.seconds:.1f} s; the report is in {out}")
    if not run.tensors_compared:
        click.echo("nothing was compared; `harness list implementations` shows what can be named with --impl", err=True)


def described(run: Run, out: Path, status: Exit) -> dict[str, Any]:
    """Return what --json prints."""
    from harness.report.overview import compared_in_part, floor_line

    return {
        "report": str(out),
        "exit_status": int(status),
        "baseline": run.baseline,
        "cases": len(run.outcomes),
        "tensors_compared": run.tensors_compared,
        "elements_compared": run.elements_compared,
        "floor": floor_line(run),
        "compared_in_part": {each.implementation: str(each) for each in compared_in_part(run)},
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
