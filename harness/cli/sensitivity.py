"""``harness sensitivity``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from harness.cli.exits import Exit
from harness.cli.options import cases_argument, end_without_cases, load_cases
from harness.terminal import write_json

if TYPE_CHECKING:
    from harness.case import Loaded, ValidCase
    from harness.diagnosis.sight import Sight
    from harness.execution.processes import Workers

    Found = list[tuple[ValidCase, Sight]]

LIMIT = 600.0
"""Seconds that one problem of a user's step may take."""

MOST_LISTED = 10
"""Maximum of faults of a step that are listed in full."""

FIELDS = {"dtype": str, "seed": int, "upstream": str, "state": str, "scale": float}
"""The fields of a draw that ``--problem`` takes beside B, T and ``without``, with their types."""


@click.command("sensitivity")
@cases_argument
@click.option(
    "--problem",
    "problems",
    multiple=True,
    metavar="TEXT",
    help="For a recurrence: the problem of your own tests, such as B=1,T=16,H=64; can be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(cases: tuple[str, ...], problems: tuple[str, ...], as_json: bool) -> None:
    """Show which faults each case detects, and which it does not.

    CASE is a file, a folder, or the name of a case, such as basic/tanh; default: all of cases/. A FILE.py with a
    recurrence, as the first of them, stands for the problems that `harness check FILE.py` makes.

    The faults are those of the catalogue; for a recurrence, those of the lines of its step.
    """
    from harness.cli.screen import progress
    from harness.execution.processes import AnswerCache, NativeWeightsFailed, WorkerFailed, Workers

    wanted = [_read(text) for text in problems]
    with Workers(AnswerCache()) as workers:
        loaded = _of_file(cases[0], cases[1:], wanted, workers) if _is_file(cases) else _of_cases(cases, wanted)
        end_without_cases(loaded)
        found: Found = []
        with progress(len(loaded.cases), workers.starting) as show:
            for number, case in enumerate(loaded.cases, 1):
                try:
                    found.append((case, _of_case(case, workers)))
                except NativeWeightsFailed as failure:
                    click.echo(f"{case.name}: the weights could not be made: {failure}", err=True)
                except WorkerFailed as failure:
                    click.echo(f"{case.name}: {failure.reason}", err=True)
                show(number)
    if as_json:
        write_json([_described(case, each) for case, each in found])
    else:
        _print(found)
    raise click.exceptions.Exit(Exit.BAD_INPUT if loaded.mistakes or not found else Exit.AS_EXPECTED)


def _is_file(cases: Sequence[str]) -> bool:
    return bool(cases) and cases[0].partition(":")[0].endswith(".py")


def _of_cases(cases: Sequence[str], wanted: Sequence[dict[str, Any]]) -> Loaded:
    """Return the cases of some names, or the wanted problems of their recurrences."""
    from harness.case.loading import Loaded
    from harness.case.recurrent import Draw, case_of
    from harness.recurrences import DeclarationError, recurrences

    loaded = load_cases(cases)
    if not wanted:
        return loaded
    cells = dict.fromkeys(case.cell for case in loaded.cases if case.recurrence is not None)
    if loaded.cases and not cells:
        raise click.UsageError("--problem is for recurrences, and these cases are of networks; leave it out")
    try:
        drawn = [case_of(recurrences()[cell], Draw(**each["draw"]), each["sizes"]) for cell in cells for each in wanted]
    except DeclarationError as refused:
        raise click.UsageError(f"--problem: {refused}") from None
    return Loaded(drawn, loaded.mistakes)


def _of_file(file: str, cases: Sequence[str], wanted: Sequence[dict[str, Any]], workers: Workers) -> Loaded:
    """Return the cases that are made for the recurrences of a file, or those named; its process has their steps."""
    from harness.candidate import userfile
    from harness.candidate.check import introduced, made_cases, process_of, reason_against, suited
    from harness.case.loading import Loaded

    try:
        named = userfile.named(file)
        process = process_of(named, LIMIT)
        workers.start([process])
        candidate = introduced(named, process, workers)
        if not candidate.recurrences:
            raise click.UsageError(
                f"{named.shown} is about networks; their faults depend on the case alone, so name cases"
            )
        made = made_cases(process, candidate.recurrences, workers, wanted)
    except userfile.FileRefused as refused:
        if refused.detail:
            click.echo(f"{refused.detail}\n", err=True)
        raise click.UsageError(str(refused)) from None
    workers.homes = dict.fromkeys(candidate.recurrences, process)
    if not cases:
        return Loaded(made)
    loaded = load_cases(cases)
    fitting = suited(candidate, loaded.cases, made)
    if loaded.cases and not fitting:
        raise click.UsageError(reason_against(candidate, loaded.cases[0], named.shown))
    return Loaded(fitting, loaded.mistakes)


def _read(text: str) -> dict[str, Any]:
    """Return the draw and the sizes of a text such as ``B=1,T=16,H=64,without=b+z``."""
    draw: dict[str, Any] = {}
    sizes: dict[str, int] = {}
    for part in text.split(","):
        name, equals, value = (each.strip() for each in part.partition("="))
        if not (name and equals and value):
            raise click.BadParameter(f"{part!r} should be NAME=VALUE, as in B=1,T=16,H=64", param_hint="--problem")
        try:
            if name == "without":
                draw["absent"] = value.split("+")
            elif name in FIELDS:
                draw[name] = FIELDS[name](value)
            else:
                (draw if name in ("B", "T") else sizes)[name] = int(value)
        except ValueError:
            kind = "a number" if name == "scale" else "a whole number"
            raise click.BadParameter(f"{name} is {value!r}, but should be {kind}", param_hint="--problem") from None
    return {"draw": draw, "sizes": sizes}


def _of_case(case: ValidCase, workers: Workers) -> Sight:
    from harness.diagnosis import Predictions
    from harness.diagnosis.sight import sight
    from harness.precision.rounding_noise import rounding_noise
    from harness.problem import build

    problem = build(case, workers.native_weights)
    return sight(Predictions(problem, rounding_noise(problem))) if case.recurrence is None else workers.sight(problem)


def _described(case: ValidCase, each: Sight) -> dict[str, Any]:
    return {
        "case": case.name,
        "seen": list(each.seen),
        "missed": each.missed,
        "cannot_be_committed": each.impossible,
    }


def _print(found: Found) -> None:
    from harness.cli.screen import table

    folded: dict[tuple[str, str, str], list[str]] = {}
    for case, each in found:
        reasons: dict[str, list[str]] = {}
        for fault, reason in each.missed.items():
            reasons.setdefault(reason, []).append(fault)
        if case.recurrence is None:
            seen = f"{len(each.seen)}"
            missed = "; ".join(f"{', '.join(faults)} ({reason})" for reason, faults in reasons.items())
        else:
            seen = f"{len(each.seen)} of {len(each.seen) + len(each.missed)}"
            missed = "\n".join(f"{_counted(faults)} ({reason})" for reason, faults in reasons.items())
        folded.setdefault((case.name.partition("[")[0], seen, missed), []).append(case.name)
    rows = [
        [
            names[0] if len(names) == 1 else f"{file}, {len(names)} cases such as {names[0].removeprefix(file)}",
            seen,
            missed,
        ]
        for (file, seen, missed), names in folded.items()
    ]
    if rows:
        table("Faults that each case detects", ["case", "detected", "not detected, with the reason"], rows)
    _print_together(found)


def _counted(faults: Sequence[str]) -> str:
    """Return the number of some faults of a step, and one of them."""
    return faults[0] if len(faults) == 1 else f"{len(faults)} faults, such as: {faults[0]}"


def _print_together(found: Found) -> None:
    """Print what the cases of the catalogue detect together, and those of each recurrence."""
    from harness.diagnosis.sight import catalogue

    kinds = Counter("" if case.recurrence is None else case.cell for case, _ in found)
    for cell, cases in kinds.items():
        sights = [each for case, each in found if cell == ("" if case.recurrence is None else case.cell)]
        seen = {fault for each in sights for fault in each.seen}
        together = "Together, the cases detect" if cases > 1 else "The case detects"
        if not cell:
            possible = [name for name in catalogue() if name in seen or any(name in each.missed for each in sights)]
            click.echo(f"{together} {len(seen)} of the {len(possible)} faults of the catalogue that can occur there.")
            if unseen := [fault for fault in possible if fault not in seen]:
                click.echo(f"Not detected: {', '.join(unseen)}")
                click.echo("`harness list faults` describes each fault.")
            continue
        unseen = sorted({fault for each in sights for fault in each.missed} - seen)
        click.echo(f"{together} {len(seen)} of the {len(seen) + len(unseen)} faults of the step of {cell}.")
        for fault in unseen[:MOST_LISTED]:
            click.echo(f"  not detected: {fault}")
        if len(unseen) > MOST_LISTED:
            click.echo(f"  … and {len(unseen) - MOST_LISTED} more; --json lists all of them")
