"""``harness validate``."""

from __future__ import annotations

import json

import click

from harness.cli.exits import Exit
from harness.cli.options import cases_argument, end_without_cases


@click.command("validate")
@cases_argument
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(cases: tuple[str, ...], as_json: bool) -> None:
    """Check case files, and say where each mistake is.

    CASE is a file, a folder, or a case's name; all of cases/ if none is named. Nothing is run.
    """
    from harness.case import load
    from harness.implementations import implementations

    loaded = load(cases, implementations())
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
        click.echo(json.dumps({"valid": [case.name for case in loaded.cases], "mistakes": mistakes}, indent=2))
    else:
        for mistake in loaded.mistakes:
            click.echo(str(mistake))
        click.echo(f"{len(loaded.cases)} valid cases, {len(loaded.mistakes)} mistakes")
    if loaded.mistakes:
        raise click.exceptions.Exit(Exit.BAD_INPUT)
    end_without_cases(loaded)
