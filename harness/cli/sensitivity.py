"""``harness sensitivity``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from harness.cli.exits import Exit
from harness.cli.options import cases_argument, end_without_cases, load_cases
from harness.terminal import write_json

if TYPE_CHECKING:
    from harness.case import ValidCase
    from harness.diagnosis.sight import Sight


@click.command("sensitivity")
@cases_argument
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(cases: tuple[str, ...], as_json: bool) -> None:
    """Show which faults of the catalogue each case detects, and which it does not.

    CASE is a file, a folder, or the name of a case, such as basic/tanh; default: all of cases/.
    """
    from harness.cli.screen import progress
    from harness.diagnosis.sight import catalogue
    from harness.execution.processes import AnswerCache, NativeWeightsFailed, Workers

    loaded = load_cases(cases)
    end_without_cases(loaded)
    of_networks = [case for case in loaded.cases if case.recurrence is None]
    if left_out := len(loaded.cases) - len(of_networks):
        noun = "case of a recurrence is" if left_out == 1 else "cases of recurrences are"
        click.echo(f"{left_out} {noun} left out: the catalogue has faults of rnn, lstm and gru alone", err=True)
    if not of_networks:
        raise click.exceptions.Exit(Exit.NOTHING_SELECTED)
    found: list[tuple[ValidCase, Sight]] = []
    with Workers(AnswerCache()) as workers, progress(len(of_networks), workers.starting) as show:
        for number, case in enumerate(of_networks, 1):
            try:
                found.append((case, _of_case(case, workers)))
            except NativeWeightsFailed as failure:
                click.echo(f"{case.name}: the weights could not be made: {failure}", err=True)
            show(number)
    everything = list(catalogue())
    seen = {fault for _, each in found for fault in each.seen}
    if as_json:
        write_json([_described(case, each) for case, each in found])
    else:
        _print(found)
        unseen = [fault for fault in everything if fault not in seen]
        together = "Together, the cases detect" if len(found) > 1 else "The case detects"
        click.echo(f"{together} {len(seen)} of the {len(everything)} faults of the catalogue.")
        if unseen:
            click.echo(f"Not detected: {', '.join(unseen)}")
            click.echo("`harness list faults` describes each fault.")
    raise click.exceptions.Exit(Exit.BAD_INPUT if loaded.mistakes else Exit.AS_EXPECTED)


def _of_case(case: ValidCase, workers: Any) -> Sight:
    from harness.diagnosis import Predictions
    from harness.diagnosis.sight import sight
    from harness.precision.rounding_noise import rounding_noise
    from harness.problem import build

    problem = build(case, workers.native_weights)
    return sight(Predictions(problem, rounding_noise(problem)))


def _described(case: ValidCase, each: Sight) -> dict[str, Any]:
    return {
        "case": case.name,
        "seen": list(each.seen),
        "missed": each.missed,
        "cannot_be_committed": each.impossible,
    }


def _print(found: list[tuple[ValidCase, Sight]]) -> None:
    from harness.cli.screen import table

    folded: dict[tuple[str, str, str], list[str]] = {}
    for case, each in found:
        reasons: dict[str, list[str]] = {}
        for fault, reason in each.missed.items():
            reasons.setdefault(reason, []).append(fault)
        missed = "; ".join(f"{', '.join(faults)} ({reason})" for reason, faults in reasons.items())
        folded.setdefault((case.name.partition("[")[0], f"{len(each.seen)}", missed), []).append(case.name)
    rows = [
        [
            names[0] if len(names) == 1 else f"{file}, {len(names)} cases such as {names[0].removeprefix(file)}",
            seen,
            missed,
        ]
        for (file, seen, missed), names in folded.items()
    ]
    table("Faults that each case detects", ["case", "detected", "not detected, with the reason"], rows)
