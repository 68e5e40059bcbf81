"""``harness mark``."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from harness.cli.exits import Exit, worst
from harness.cli.options import cases_argument, finite, load_cases
from harness.terminal import write_json

LIMIT = 60.0
DEFAULT_CASES = ("basic",)
"""The cases of a file about networks, where none is named: small ones, in which no fault can hide."""

MAX_EXPLANATION = 100
MOST_NOTEBOOKS = 5


@click.command("mark")
@click.argument("folder", type=click.Path(path_type=Path))
@cases_argument
@click.option("--require-all", is_flag=True, help="Count every gradient that is not returned as a mismatch.")
@click.option(
    "--limit",
    type=click.FloatRange(min=0, min_open=True),
    callback=finite,
    default=LIMIT,
    show_default=True,
    metavar="SECONDS",
    help="Time limit for one file, all cases together.",
)
@click.option("--jobs", type=click.IntRange(min=1), help="Files at once; as many as there are processors by default.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("reports/marks"),
    show_default=True,
    help="Folder of marks.csv, index.html and the report of each file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the marks as JSON.")
def command(
    folder: Path, cases: tuple[str, ...], require_all: bool, limit: float, jobs: int | None, out: Path, as_json: bool
) -> None:
    """Mark every implementation file of a folder: right, or wrong with its fault, or why it does not run.

    Each Python file below FOLDER is checked as by `harness check`, in processes of its own: one that crashes or hangs
    costs its own row. The marks are a table, marks.csv, and index.html, with a link to the report of each file.

    CASE is a file, a folder, or a case's name, such as basic/tanh; those of basic if none is named. A file about a
    recurrence is checked on problems that are made for it, or on the cases of recurrences that are named.
    """
    from harness.candidate.marking import page
    from harness.candidate.marking.files import found_in
    from harness.candidate.marking.mark import BORROWED
    from harness.candidate.marking.running import Marking, marked
    from harness.terminal.words import counted

    _check_folder(folder)
    of_networks, of_recurrences = _apart(cases or DEFAULT_CASES)
    _check(out)
    files, notebooks = found_in(folder), _notebooks(folder)
    if not files:
        click.echo(f"{folder} holds no Python file; name the folder of the implementations{notebooks}", err=True)
        raise click.exceptions.Exit(Exit.NOTHING_SELECTED)
    asked = Marking(folder, of_networks, of_recurrences, require_all, limit, out)
    marks = []
    for mark in marked(files, asked, jobs or os.cpu_count() or 1):
        marks.append(mark)
        click.echo(f"{len(marks)} of {counted(len(files), 'file')}: {mark.file}: {mark.mark}", err=True)
    options = ["--require-all"] if require_all else []
    options += ["--limit", f"{limit:g}"] if limit != LIMIT else []
    again = ["harness", "mark", *options, "--out", str(out), str(folder), *cases]
    about = {"folder": str(folder), "cases": _named(cases), "command": shlex.join(again)}
    page.write(out, marks, about)
    statuses = [Exit.MISMATCH if each.mark == BORROWED else Exit(each.status) for each in marks]
    status = worst(statuses)
    if as_json:
        write_json({"exit_status": int(status), "marks": [each.row for each in marks], "out": str(out)})
    else:
        from harness.cli.screen import table

        rows = [(each.file, each.mark, _short(each.explanation)) for each in marks]
        table(f"{folder}: {_named(cases)}", ("file", "mark", "fault, or reason"), rows)
        click.echo(f"{page.summary(marks)}; {page.TABLE} and {page.PAGE} are in {out}{notebooks}")
    raise click.exceptions.Exit(status)


def _check_folder(folder: Path) -> None:
    """Refuse an argument that is no folder, with the command or the name that was meant."""
    if folder.is_dir():
        return
    if folder.exists():
        raise click.UsageError(f"{folder} is a file, but should be a folder; `harness check {folder}` checks one file")
    from harness.case.loading import is_there
    from harness.casefile import nearest

    if is_there(str(folder)):
        raise click.UsageError(f"{folder} is a case, and the folder comes before it: harness mark FOLDER {folder}")
    beside = [str(each) for each in folder.parent.glob("*/")]
    raise click.UsageError("; ".join(filter(None, (f"there is no folder {folder}", nearest(folder, beside)))))


def _notebooks(folder: Path) -> str:
    """Return a line about notebooks, which have no row; empty without any."""
    from harness.candidate.marking.files import found_in
    from harness.terminal.words import counted

    found = [str(each.relative_to(folder)) for each in found_in(folder, ".ipynb")]
    if not found:
        return ""
    named = ", ".join(found[:MOST_NOTEBOOKS]) + (", …" if len(found) > MOST_NOTEBOOKS else "")
    several = len(found) > 1
    verbs = ("are", "makes Python files of them") if several else ("is", "makes a Python file of it")
    return (
        f"\n{counted(len(found), 'notebook')} {verbs[0]} not marked: {named}; jupyter nbconvert --to script {verbs[1]}"
    )


def _apart(cases: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names of cases of networks, and those of cases of recurrences; end the command for a mistake."""
    of_networks, of_recurrences = [], []
    for name in cases:
        loaded = load_cases([name])
        if loaded.mistakes:
            raise click.exceptions.Exit(Exit.BAD_INPUT)
        if any(case.recurrence is None for case in loaded.cases):
            of_networks.append(name)
        if any(case.recurrence is not None for case in loaded.cases):
            of_recurrences.append(name)
    return of_networks or list(DEFAULT_CASES), of_recurrences


def _named(cases: Sequence[str]) -> str:
    return " ".join(cases) if cases else f"{' '.join(DEFAULT_CASES)}, and for recurrences problems made for them"


def _check(out: Path) -> None:
    """Refuse a folder that holds something else than marks."""
    from harness.candidate.marking import page

    if out.is_dir() and any(out.iterdir()) and not (out / page.TABLE).is_file():
        raise click.UsageError(f"{out} holds other files and no {page.TABLE}, and is left alone; choose another --out")


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_EXPLANATION else f"{text[: MAX_EXPLANATION - 1]}…"
