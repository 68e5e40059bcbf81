"""``harness validate``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from harness.cli.exits import Exit
from harness.cli.options import cases_argument, end_without_cases
from harness.terminal import write_json

if TYPE_CHECKING:
    from harness.case import ValidCase


MOST_FILES = 3
"""Maximum number of files that have a line each for the same blind spot."""

MOST_CASES = 100
"""Maximum number of cases of a file that are searched for blind spots."""


@click.command("validate")
@cases_argument
@click.option("--strict", is_flag=True, help="Fail if there are warnings, too.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(cases: tuple[str, ...], strict: bool, as_json: bool) -> None:
    """Check case files, and show the place of each mistake.

    Warns of blind cases, too: those on which a wrong gradient can look right. CASE is a file, a folder, or the name of
    a case; default: all of cases/. No implementation is run.
    """
    from harness.case import load
    from harness.implementations import implementations
    from harness.terminal.words import counted

    loaded = load(cases, implementations())
    warnings = _blind(loaded.cases)
    if as_json:
        mistakes = [
            {
                "file": each.file,
                "line": each.line,
                "column": each.column,
                "path": list(each.path),
                "problem": each.problem,
                "hint": each.hint,
            }
            for each in loaded.mistakes
        ]
        found = {"valid": [case.name for case in loaded.cases], "mistakes": mistakes, "warnings": warnings}
        write_json(found)
    else:
        for mistake in loaded.mistakes:
            click.echo(str(mistake))
        for line in _lines(warnings):
            click.echo(line, err=True)
        if warnings and any(case.recurrence is None for case in loaded.cases):
            click.echo("`harness sensitivity CASE` shows which faults a case does not detect", err=True)
        counts = f"{counted(len(loaded.cases), 'valid case')}, {counted(len(loaded.mistakes), 'mistake')}"
        counts += f", {counted(len(warnings), 'warning')}" if strict else ""
        failed = loaded.mistakes or not loaded.cases or (strict and warnings)
        click.echo(f"Failed: {counts}." if failed else f"Passed: {counts}.")
    if loaded.mistakes or (strict and warnings):
        raise click.exceptions.Exit(Exit.BAD_INPUT)
    end_without_cases(loaded)


def _lines(warnings: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield a line for each warning; one for all of a kind that many files have."""
    of_kind = Counter(warning["blind_spot"] for warning in warnings)
    shown = set[str]()
    for warning in warnings:
        kind = warning["blind_spot"]
        cases = f" (in {warning['cases']:,} cases)" if warning["cases"] > 1 else ""
        if of_kind[kind] <= MOST_FILES:
            yield f"{warning['file']}: blind: {kind}: {warning['text']}{cases}"
        elif kind not in shown:
            shown.add(kind)
            yield f"{of_kind[kind]} files: blind: {kind}: such as {warning['file']}: {warning['text']}{cases}"


def _blind(cases: Sequence[ValidCase]) -> list[dict[str, Any]]:
    """Find blind spots in the first cases of each file, once for each file.

    Weights that a framework makes are unknown here, so their blind spots are not found.
    """
    from harness.diagnosis.sight import blind_spots_of_case

    found: dict[tuple[str, str], dict[str, Any]] = {}
    looked_at = Counter[str]()
    for case in cases:
        looked_at[case.file] += 1
        if looked_at[case.file] > MOST_CASES:
            continue
        for spot in blind_spots_of_case(case):
            entry = {"file": case.file, "blind_spot": spot.name, "text": spot.text, "cases": 0}
            found.setdefault((case.file, spot.name), entry)["cases"] += 1
    return list(found.values())
