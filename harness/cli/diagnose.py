"""``harness diagnose``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from harness.cli.exits import Exit
from harness.cli.options import DEFAULT_BASELINE, cases_argument, chosen, end_without_cases, load_cases
from harness.terminal import write_json

if TYPE_CHECKING:
    from harness.execution.session import CaseOutcome, Judgement


REFERENCES = {"numpy-split": "numpy-concat", "derived": "complex-step"}
"""The baseline of each implementation that is a baseline itself."""


@click.command("diagnose")
@cases_argument
@click.option("--impl", "name", metavar="N", required=True, help="The implementation, or published.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(cases: tuple[str, ...], name: str, as_json: bool) -> None:
    """Explain wrong numbers of an implementation, or wrong gradients that a case quotes as published.

    CASE is a file, a folder, or the name of a case, such as basic/tanh; default: all of cases/.
    """
    from harness.execution.processes import AnswerCache, Workers
    from harness.execution.session import execute
    from harness.execution.session.executors.local import Local
    from harness.implementations import implementations

    (asked,) = chosen([name])
    loaded = load_cases(cases)
    end_without_cases(loaded)
    to_run = [case for case in loaded.cases if asked.takes_part_in(case)]
    if not to_run:
        click.echo(f"{name} takes part in none of these {len(loaded.cases):,} cases", err=True)
        raise click.exceptions.Exit(Exit.NOTHING_SELECTED)
    reference = implementations()[REFERENCES.get(name, DEFAULT_BASELINE)]
    with Workers(AnswerCache()) as workers:
        *_, run = execute(to_run, [asked], reference, Local(workers), "none")
    pairs = list(run.comparisons)
    if as_json:
        write_json([_described(outcome, judged) for outcome, judged in pairs])
    else:
        for outcome, judged in pairs:
            _print(outcome, judged)
    if loaded.mistakes:
        raise click.exceptions.Exit(Exit.BAD_INPUT)
    verdicts = {judged.verdict for _, judged in pairs}
    if "error" in verdicts:
        raise click.exceptions.Exit(Exit.IMPLEMENTATION_FAILED)
    if "mismatch" in verdicts:
        raise click.exceptions.Exit(Exit.MISMATCH)
    raise click.exceptions.Exit(Exit.AS_EXPECTED if "match" in verdicts else Exit.NOTHING_SELECTED)


def _described(outcome: CaseOutcome, judged: Judgement) -> dict[str, Any]:
    return {
        "case": outcome.case.name,
        "implementation": judged.implementation,
        "verdict": judged.verdict,
        "reason": judged.reason,
        "diagnoses": [
            {
                "fault": each.fault,
                "residual": _number(each.residual),
                "residuals": {tensor: _number(residual) for tensor, residual in each.residuals.items()},
                "explanation": each.explanation,
                "start": each.start,
                "declare": each.declare,
            }
            for each in judged.diagnoses
        ],
    }


def _number(residual: float) -> float | None:
    """Return a residual for JSON: None if it is not finite."""
    return residual if math.isfinite(residual) else None


def _print(outcome: CaseOutcome, judged: Judgement) -> None:
    from harness.candidate.check.first import diagnosis_lines

    click.echo(f"{outcome.case.name}: {judged.verdict}{f': {judged.reason}' if judged.reason else ''}")
    for line in diagnosis_lines(judged.diagnoses):
        click.echo(line)
