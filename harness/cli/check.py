"""``harness check``."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from harness.cli import BEGAN
from harness.cli.exits import Exit
from harness.cli.options import (
    DEFAULT_BASELINE,
    cases_argument,
    chosen,
    end_without_cases,
    finite,
    load_cases,
    report_option,
)
from harness.terminal import write_json

if TYPE_CHECKING:
    from harness.candidate.userfile import FileRefused
    from harness.execution.session import Run

LIMIT = 60.0
MAX_PRINTED = 40
"""Maximum number of lines that are shown of the output of the user's code on one case."""


@click.command("check")
@click.argument("file", metavar="FILE.py[:FUNCTION]")
@cases_argument
@click.option("--baseline", default=DEFAULT_BASELINE, show_default=True, help="Implementation to compare with.")
@click.option(
    "--limit",
    type=click.FloatRange(min=0, min_open=True),
    callback=finite,
    default=LIMIT,
    show_default=True,
    metavar="SECONDS",
    help="Time limit for one case, and for the import.",
)
@report_option("--out", "reports/check", "Folder of the report.")
@click.option("--require-all", is_flag=True, help="Count every gradient that is not returned as a mismatch.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    file: str, cases: tuple[str, ...], baseline: str, limit: float, out: Path, require_all: bool, as_json: bool
) -> None:
    """Compare your own implementation with the baseline.

    FILE.py holds a function under @harness.implementation(...). FUNCTION names one of several such functions, or a
    plain function, which then gets split weights. The function runs in its own process, twice for each case.

    CASE is a file, a folder, or a case's name, such as basic/tanh. If none is named, it is all of cases/, or without
    that folder all of the library, simple ones first. A file about a recurrence is checked on problems that are made
    for it, or on those cases of it that are named.
    """
    from harness import report
    from harness.candidate import userfile
    from harness.candidate.check import (
        introduced,
        made_cases,
        page,
        process_of,
        reason_against,
        routes,
        simplest_first,
        suited,
    )
    from harness.case.loading import Loaded
    from harness.cli.run import described, exit_status
    from harness.cli.screen import progress
    from harness.execution.processes import AnswerCache, Workers
    from harness.execution.session import execute, on_its_own
    from harness.execution.session.executors.local import Local
    from harness.terminal.text import encodable

    (of_baseline,) = chosen([baseline])
    try:
        named, file = userfile.named(file), encodable(file)
        report.check(out)
    except (userfile.FileRefused, report.NotAReport) as error:
        raise click.UsageError(str(error)) from None
    with Workers(AnswerCache()) as workers:
        process = process_of(named, limit)
        workers.start([process])
        try:
            candidate = introduced(named, process, workers)
            made = made_cases(process, candidate.recurrences, workers)
        except userfile.FileRefused as refused:
            _refuse(refused)
        _show_printed(candidate.said, "during the import")
        wanted = [each.tried_out(require_all=require_all) for each in candidate.implementations]
        if candidate.recurrences and baseline != DEFAULT_BASELINE:
            raise click.UsageError(f"{named.shown} holds recurrences, which have a baseline of their own; leave it out")
        loaded = Loaded(made) if candidate.recurrences and not cases else load_cases(cases, or_library=True)
        if loaded.mistakes and not (cases or loaded.cases):
            basic = page.command(file, [])
            click.echo(f"to take cases of the library instead of those in cases/, name them: {basic} basic", err=True)
        end_without_cases(loaded)
        asked = [on_its_own(case) for case in suited(candidate, loaded.cases, made)]
        others = [case for case in loaded.cases if case.name not in {each.name for each in asked}]
        if not asked:
            raise click.UsageError(reason_against(candidate, others[0], named.shown))
        if cases and others:
            why = reason_against(candidate, others[0], named.shown)
            click.echo(f"{len(others)} of {len(loaded.cases)} cases are left out: {why}", err=True)
        if candidate.recurrences:
            of_baseline, *of_file = routes(process)
            wanted += of_file
            workers.homes = dict.fromkeys(candidate.recurrences, process)
        elif len({case.file for case in asked}) > 1:
            asked = simplest_first(asked)
        options = ["--require-all"] if require_all else []
        options += ["--baseline", shlex.quote(baseline)] if baseline != DEFAULT_BASELINE else []
        options += ["--limit", f"{limit:g}"] if limit != LIMIT else []
        shown = 0
        with report.Keeper(out) as keeper:
            with progress(len(asked), workers.starting) as show:
                for run in execute(asked, wanted, of_baseline, Local(workers), keep=keeper.keep):
                    show(len(run.outcomes))
                    shown = _show_output(run, shown)
            again = page.command(file, options)
            try:
                if not as_json:
                    for line in page.lines(run, candidate):  # the page does not wait for the report
                        click.echo(line)
            finally:
                report.write(report.of_run(run, keeper.folder, again=again, plotted=False, dated=False), out)
    status = exit_status(run, loaded)
    run = page.only_its_own(run, candidate)
    if as_json:
        write_json(_with_remarks(described(run, out, status), run))
    else:
        waited = time.perf_counter() - BEGAN  # imports included
        click.echo(f"{page.conclusion(run)} {waited:.1f} s; the report is in {out}")
        click.echo(page.next_step(run, file, cases, options))
    raise click.exceptions.Exit(status)


def _refuse(refused: FileRefused) -> NoReturn:
    """End the command with the reason why the file is refused."""
    if refused.detail:
        click.echo(f"{refused.detail}\n", err=True)
    click.echo(f"Error: {refused}", err=True)
    raise click.exceptions.Exit(Exit.BAD_INPUT)


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


def _with_remarks(described: dict[str, Any], run: Run) -> dict[str, Any]:
    """Add the remarks, and the tensors that were not returned, to the output of --json."""
    for row, (_, judged) in zip(described["results"], run.comparisons, strict=True):
        row["remarks"] = [each.text for each in judged.remarks]
        row["not_provided"] = list(judged.comparison.not_provided) if judged.comparison else []
        row["detail"] = judged.detail
    return described
