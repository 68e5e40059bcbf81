"""``harness check``."""

from __future__ import annotations

import gc
import re
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import BEGAN
from harness.cli.exits import Exit, exit_status, worst
from harness.cli.options import (
    DEFAULT_BASELINE,
    chosen,
    end_without_cases,
    finite,
    load_cases,
    report_option,
)
from harness.terminal import write_json

if TYPE_CHECKING:
    from harness.candidate.check.candidate import Candidate
    from harness.candidate.userfile import FileRefused, UserFile
    from harness.case import Loaded, ValidCase
    from harness.execution.processes import Workers
    from harness.execution.session import Run
    from harness.implementations import Framework, Implementation

LIMIT = 60.0
MAX_PRINTED = 40
"""Maximum number of lines that are shown of the output of the user's code on one case."""

FEW = 16
"""Maximum number of cases whose tensors are written after the verdict."""

_PYTHON = re.compile(r"\.py(:[^/]*)?\Z")
"""Matches the end of an argument that is a file of Python; no case has such a name."""


@dataclass(frozen=True)
class _Asked:
    """The values of the options, and the cases as they were named: the same for each file."""

    cases: tuple[str, ...]
    baseline: str
    limit: float
    require_all: bool
    as_json: bool

    @property
    def options(self) -> list[str]:
        """The options of the command that repeats this."""
        options = ["--require-all"] if self.require_all else []
        options += ["--baseline", shlex.quote(self.baseline)] if self.baseline != DEFAULT_BASELINE else []
        return [*options, "--limit", f"{self.limit:g}"] if self.limit != LIMIT else options


@click.command("check")
@click.argument("arguments", nargs=-1, required=True, metavar="FILE.py[:FUNCTION]... [CASE]...")
@click.option(
    "--baseline",
    default=DEFAULT_BASELINE,
    show_default=True,
    help="Implementation to compare with; `own` for the loss that yours returns, differentiated numerically.",
)
@click.option(
    "--limit",
    type=click.FloatRange(min=0, min_open=True),
    callback=finite,
    default=LIMIT,
    show_default=True,
    metavar="SECONDS",
    help="Time limit for one case, and for the import.",
)
@report_option("--out", "reports/check", "Folder of the report; of several files, of a folder for each.")
@click.option("--require-all", is_flag=True, help="Count every gradient that is not returned as a mismatch.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    arguments: tuple[str, ...], baseline: str, limit: float, out: Path, require_all: bool, as_json: bool
) -> None:
    """Compare your own implementation with the baseline.

    FILE.py holds a function under @harness.implementation(...). FUNCTION names one of several such functions, or a
    plain function, which then gets split weights. The function runs in its own process, twice for each case. Several
    files are checked one after the other; `harness mark` makes a table of a folder.

    CASE is a file, a folder, or a case's name, such as basic/tanh. If none is named, it is all of cases/, or without
    that folder all of the library, simple ones first. A file about a recurrence is checked on problems that are made
    for it, or on those cases of it that are named.
    """
    files, cases = _apart(arguments)
    asked = _Asked(cases, baseline, limit, require_all, as_json)
    if len(files) == 1:
        status, found = _checked(files[0], asked, out)
        if as_json:
            write_json(found)
        raise click.exceptions.Exit(status)
    statuses, all_found = [], []
    for file, folder in zip(files, _folders(files, out), strict=True):
        if not as_json:
            click.echo(f"--- {file}")
        status, found = _checked(file, asked, folder)
        statuses.append(status)
        all_found.append(found)
        if not as_json:
            click.echo()
    status = worst(statuses)
    if as_json:
        write_json({"exit_status": int(status), "files": all_found})
    else:
        passed = sum(each == Exit.AS_EXPECTED for each in statuses)
        click.echo(f"{passed} of {len(files)} files passed")
    raise click.exceptions.Exit(status)


def _apart(arguments: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Return the files and the cases among the arguments; the first is a file, whatever its name."""
    files = [each for number, each in enumerate(arguments) if number == 0 or _PYTHON.search(each)]
    return list(dict.fromkeys(files)), tuple(each for each in arguments[1:] if not _PYTHON.search(each))


def _folders(files: Sequence[str], out: Path) -> list[Path]:
    """Return a folder for the report of each file: its name without .py, with a number if two files share it."""
    folders: list[Path] = []
    for file in files:
        name = Path(file.rpartition(".py")[0] or file).name
        folder, number = out / name, 1
        while folder in folders:
            number += 1
            folder = out / f"{name}-{number}"
        folders.append(folder)
    return folders


def _checked(file: str, asked: _Asked, out: Path) -> tuple[Exit, dict[str, Any]]:
    """Check one file; print its page, or nothing of it for --json; return its exit status and its JSON."""
    from harness.candidate.userfile.naming import FileRefused, named
    from harness.execution.processes import launching
    from harness.terminal.text import encodable

    try:
        found = named(file)
        file = encodable(file)
        launching.ahead()  # Python and NumPy start in the file's process while this one imports the rest
        from harness.candidate.check import process_of
        from harness.execution.processes import AnswerCache, Workers

        with Workers(AnswerCache(), numpy_here=True) as workers:
            process = process_of(found, asked.limit)
            if (launch := launching.taken()) is not None:
                workers.adopt(process, launch)
            return _compared(found, file, asked, out, process, workers)
    except FileRefused as refused:
        _show_refused(refused)
        reason = {"file": file, "exit_status": int(Exit.BAD_INPUT), "refused": str(refused), "detail": refused.detail}
        return Exit.BAD_INPUT, reason


def _compared(
    named: UserFile, file: str, asked: _Asked, out: Path, process: Framework, workers: Workers
) -> tuple[Exit, dict[str, Any]]:
    from harness import report
    from harness.candidate.check import introduced, loaded_cases, made_cases, page
    from harness.candidate.check import own as own_forward_pass
    from harness.candidate.check.first import OWN
    from harness.execution.session import execute
    from harness.execution.session.executors.local import Local

    by_own_loss = asked.baseline == OWN
    (of_baseline,) = chosen([DEFAULT_BASELINE if by_own_loss else asked.baseline])
    try:
        report.check(out)
    except report.NotAReport as error:
        raise click.UsageError(str(error)) from None
    workers.start([process])
    gc.enable()  # all is imported
    candidate = introduced(named, process, workers)
    made = made_cases(process, candidate.recurrences, workers)
    there = loaded_cases(process, asked.cases, workers) if candidate.recurrences and asked.cases else None
    _show_printed(candidate.said, "during the import")
    if candidate.recurrences and asked.baseline not in (DEFAULT_BASELINE, OWN):
        raise click.UsageError(f"{named.shown} holds recurrences, which have a baseline of their own; leave it out")
    cases, loaded = _cases_for(candidate, made, asked.cases, named.shown, there)
    coarse = [each for each in candidate.implementations if each.rounds and made and not asked.cases]
    wanted = [each.tried_out(require_all=asked.require_all) for each in candidate.implementations if each not in coarse]
    if candidate.recurrences:
        of_baseline, of_file = _routes(process)
        wanted += of_file
        workers.homes = dict.fromkeys(candidate.recurrences, process)
    shown = 0
    with report.Keeper(out, waiting=FEW) as keeper:
        with _progress(len(cases), workers.starting) as show:
            growing = (
                own_forward_pass.runs(cases, candidate, workers)
                if by_own_loss
                else execute(cases, wanted, of_baseline, Local(workers), keep=keeper.keep)
            )
            for run in growing:
                show(len(run.outcomes))
                shown = _show_output(run, shown)
        if not by_own_loss:
            run = own_forward_pass.with_own_forward_pass(run, candidate, workers)
            if coarse:
                from harness.candidate.check.coarse import with_coarse  # with all of the low precision

                run = with_coarse(run, coarse, workers)
        status, own = exit_status(run, loaded), page.only_its_own(run, candidate)
        try:
            if not asked.as_json:  # the verdict does not wait for the report
                for line in page.lines(run, candidate):
                    click.echo(line)
                waited = time.perf_counter() - BEGAN  # imports included
                click.echo(f"{page.conclusion(own)} {waited:.1f} s", nl=False)
        finally:
            again = page.command(file, asked.options)
            try:
                keeper.write()
                report.write(report.of_run(run, keeper.folder, again=again, plotted=False, dated=False), out)
            except BaseException:
                if not asked.as_json:
                    click.echo()
                raise
    if asked.as_json:
        return status, _described(own, file, candidate, out, status)
    click.echo(f"; the report is in {out}")
    click.echo(page.next_step(own, file, asked.cases, asked.options))
    return status, {}


def _cases_for(
    candidate: Candidate, made: Sequence[ValidCase], named: tuple[str, ...], shown: str, there: Loaded | None
) -> tuple[list[ValidCase], Loaded]:
    """Return the cases to run, in their order, and all that were loaded; end the command if there are none.

    Args:
        candidate: the file.
        made: the cases that were made for its recurrences.
        named: the cases of the command line.
        shown: the file as it is named.
        there: what the process of a file with recurrences loaded under the names; None for another file.
    """
    from harness.candidate.check import page, reason_against, simplest_first, suited
    from harness.case import Loaded
    from harness.execution.session import on_its_own

    loaded = Loaded(list(made)) if candidate.recurrences else load_cases(named, or_library=True)
    if there is not None:
        loaded = there
        for mistake in loaded.mistakes:
            click.echo(str(mistake), err=True)
    if loaded.mistakes and not (named or loaded.cases):
        basic = page.command(shown, [])
        click.echo(f"to take cases of the library instead of those in cases/, name them: {basic} basic", err=True)
    end_without_cases(loaded)
    asked = [on_its_own(case) for case in suited(candidate, loaded.cases, made)]
    others = [case for case in loaded.cases if case.name not in {each.name for each in asked}]
    if not asked:
        raise click.UsageError(reason_against(candidate, others[0], shown))
    if named and others:
        why = reason_against(candidate, others[0], shown)
        click.echo(f"{len(others)} of {len(loaded.cases)} cases are left out: {why}", err=True)
    if not candidate.recurrences and len({case.file for case in asked}) > 1:
        asked = simplest_first(asked)
    return asked, loaded


def _routes(process: Framework) -> tuple[Implementation, list[Implementation]]:
    """Return the baseline of a recurrence in a file, and the other routes."""
    from harness.candidate.check import routes

    baseline, *others = routes(process)
    return baseline, others


def _progress(total: int, starting: Callable[[], Sequence[str]]) -> AbstractContextManager[Callable[[int], None]]:
    """Return a progress bar, or nothing where no terminal would show it."""
    if not sys.stderr.isatty():
        return nullcontext(lambda _: None)
    from harness.cli.screen import progress

    return progress(total, starting)


def _show_refused(refused: FileRefused) -> None:
    """Show the reason why a file is refused."""
    if refused.detail:
        click.echo(f"{refused.detail}\n", err=True)
    click.echo(f"Error: {refused}", err=True)


def _show_output(run: Run, shown: int) -> int:
    """Show the output of the user's code on the cases after the first ``shown``; return how many are shown now."""
    for outcome in run.outcomes[shown:]:
        for judged in outcome.judged:
            if judged.verdict is not None and judged.said:
                _show_printed(judged.said, f"on {outcome.case.name}")
    return len(run.outcomes)


def _show_printed(text: str, when: str) -> None:
    lines = text.rstrip("\n").splitlines()
    if not lines:
        return
    click.echo(f"--- printed {when}:", err=True)
    for line in lines[:MAX_PRINTED]:
        click.echo(line, err=True)
    if len(lines) > MAX_PRINTED:
        click.echo(f"... and {len(lines) - MAX_PRINTED:,} more lines", err=True)


def _described(run: Run, file: str, candidate: Candidate, out: Path, status: Exit) -> dict[str, Any]:
    """Return the output of --json: that of ``harness run``, with remarks, absent tensors and diagnoses."""
    from harness.candidate.check import page
    from harness.cli.run import described
    from harness.comparison.comparison import MISSING

    found = {"file": file, "place": candidate.place, **described(run, out, status)}
    found["conclusion"] = page.conclusion(run)
    for row, (outcome, judged) in zip(found["results"], run.comparisons, strict=True):
        compared = judged.comparison
        row["remarks"] = [each.text for each in judged.remarks]
        row["kinds_of_remarks"] = [each.kind for each in judged.remarks]
        wrong = compared.disagreements if compared else ()
        row["not_provided"] = list(compared.not_provided) if compared else []
        row["missing"] = [each.tensor for each in wrong if each.reason == MISSING]  # of those that are required
        absent = {*row["not_provided"], *row["missing"]}
        row["absent_weights"] = [name for name in outcome.case.structure.weights if name in absent]
        row["disagreeing"] = [each.tensor for each in wrong]
        row["detail"] = judged.detail
        row["diagnoses"] = [
            {
                "fault": each.fault,
                "explanation": each.explanation,
                "tensors": list(each.tensors),
                "residual": each.residual,
                "start": each.start,
                "declare": each.declare,
            }
            for each in judged.diagnoses
        ]
    return found
