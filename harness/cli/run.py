"""``harness run``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.core import ParameterSource

from harness.cli.exits import Exit, exit_status
from harness.cli.options import (
    DEFAULT_BASELINE,
    cases_argument,
    checkpoint_of,
    chosen,
    end_without_cases,
    ignore_option,
    load_cases,
    report_option,
)
from harness.terminal import write_json

if TYPE_CHECKING:
    from harness.execution.cache.unfinished import Unfinished
    from harness.execution.processes import AnswerCache
    from harness.execution.session import Run


@click.command("run")
@cases_argument
@click.option("--impl", "names", metavar="A,B", help="Only these implementations.")
@click.option("--baseline", default=DEFAULT_BASELINE, show_default=True, help="Implementation to compare with.")
@click.option("--weights", metavar="PATH", help="Checkpoint whose recurrent weights replace those of the cases.")
@click.option("--layer", metavar="PATH", help="Recurrent layers to use, if --weights has several.")
@ignore_option
@report_option("--out", "reports/latest", "Folder of the report.")
@click.option(
    "--elements",
    type=click.Choice(["failed", "all", "none"]),
    default="failed",
    show_default=True,
    help="Which elements are listed one by one.",
)
@click.option(
    "--tensors",
    type=click.Choice(["all", "failed", "none"]),
    default="all",
    show_default=True,
    help="Which cases keep their tensors, for harness judge and show: all, or those not as expected.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Worker processes for each framework, or Dask workers on this machine with --executor dask. The default "
    "depends on the number of processors.",
)
@click.option(
    "--executor",
    type=click.Choice(["local", "dask"]),
    default="local",
    show_default=True,
    help="Where cases run: in local processes, or on the workers of a Dask cluster.",
)
@click.option(
    "--scheduler", metavar="ADDRESS", help="Address of a Dask scheduler; without one, the cluster is on this machine."
)
@click.option("--resume", is_flag=True, help="Resume the interrupted run into the folder of --out.")
@click.option("--no-cache", is_flag=True, help="Compute everything; ignore cached results.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(
    context: click.Context,
    /,
    out: Path,
    jobs: int | None,
    executor: str,
    scheduler: str | None,
    resume: bool,
    no_cache: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """Run cases, compare each implementation with the baseline, and write the report.

    CASE is a file, a folder, or the name of a case, such as basic/tanh; default: all of cases/.
    """
    from harness import report
    from harness.cli.overview import show_report
    from harness.cli.screen import progress
    from harness.execution import probe
    from harness.execution.cache import unfinished
    from harness.execution.processes import AnswerCache
    from harness.execution.session import execute, not_installed
    from harness.execution.session.executors import ExecutorFailed, begin
    from harness.implementations import implementations
    from harness.terminal.words import counted

    before = _interrupted(context, out, asked) if resume else None
    asked = asked if before is None else dict(before.asked)
    anew = no_cache or (before is not None and before.anew)
    named = chosen(asked["names"].split(",")) if asked["names"] is not None else []
    (of_baseline,) = chosen([asked["baseline"]])
    to_run = named or list(implementations().values())
    loaded = load_cases(asked["cases"], checkpoint_of(asked["weights"], asked["layer"], asked.get("ignored", ())))
    end_without_cases(loaded)
    try:
        report.check(out)
    except report.NotAReport as error:
        raise click.UsageError(str(error)) from None
    if not named:
        for line in not_installed(to_run):
            click.echo(f"warning: {line}", err=True)
    held = _cases_in(out)
    begun = before or unfinished.begin(out, asked, anew=anew)
    cache, done = AnswerCache(run=begun.run, anew=anew), 0
    again = ["harness", "run", "--resume", "--out", str(out)]
    if executor != "local":
        again += ["--executor", executor, *(["--scheduler", scheduler] if scheduler else [])]
    if anew and not begun.anew:
        again.append("--no-cache")

    def end_early(why: str, status: Exit) -> NoReturn:
        how = _how_to_resume(begun, cache, again, resume)
        click.echo(f"{why} after {done:,} of {len(loaded.cases):,} cases; {how}", err=True)
        raise click.exceptions.Exit(status)

    try:
        with report.Keeper(out, asked["tensors"]) as keeper:
            with (
                begin(executor, cache, jobs, scheduler) as cases_executor,
                progress(len(loaded.cases), cases_executor.starting) as show,
            ):
                for run in execute(loaded.cases, to_run, of_baseline, cases_executor, asked["elements"], keeper.keep):
                    done = len(run.outcomes)
                    show(done)
                run.subnormals = probe.subnormals(run, [of_baseline, *to_run], cases_executor.asking)
            found = report.of_run(run, keeper.folder, again=_again(asked))
            report.write(found, out)
    except KeyboardInterrupt:
        end_early("interrupted", Exit.INTERRUPTED)
    except ExecutorFailed as error:
        if before is None and not done:
            begun.end()
            raise click.UsageError(str(error)) from None
        end_early(str(error), Exit.BAD_INPUT)
    except report.NotAReport:
        raise
    except Exception as error:
        how = _how_to_resume(begun, cache, again, resume)
        error.add_note(f"{done:,} of {len(loaded.cases):,} cases are done; {how}")
        raise
    begun.end()
    status = exit_status(run, loaded)
    if as_json:
        write_json(described(run, out, status))
    else:
        for outcome, each in run.failed_implementations:
            if each.detail:
                click.echo(f"--- {each.implementation} on {outcome.case.name}:\n{each.detail.rstrip()}\n", err=True)
        show_report(found, out)
        if held > len(run.outcomes) and not asked["names"]:
            click.echo(f"the previous report in {out} had {held:,} cases; --out writes to another folder", err=True)
        if not run.tensors_compared:
            nothing = "nothing was compared; `harness list implementations` lists the names for --impl"
            click.echo(nothing, err=True)
        if loaded.mistakes:
            mistakes = counted(len(loaded.mistakes), "mistake")
            click.echo(f"Failed: {mistakes} in case files, listed above; these cases did not run", err=True)
    raise click.exceptions.Exit(status)


def _again(asked: Mapping[str, Any]) -> str:
    """Return the command that runs a case of the report again."""
    given = [(option, asked[option]) for option in ("weights", "layer") if asked[option] is not None]
    given += [("baseline", asked["baseline"])] if asked["baseline"] != DEFAULT_BASELINE else []
    given += [("ignore", name) for name in asked.get("ignored", ())]
    return " ".join(["harness run", *(f"--{option} {shlex.quote(value)}" for option, value in given)])


def _cases_in(folder: Path) -> int:
    """Return the number of cases of the report in a folder; 0 if there is no readable report."""
    from harness.report.environment import FILE as ENVIRONMENT

    try:
        return int(json.loads((folder / ENVIRONMENT).read_text(encoding="utf-8"))["cases"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _interrupted(context: click.Context, out: Path, asked: Mapping[str, Any]) -> Unfinished:
    """Return the run to resume; end the command if there is none, or if its options differ.

    If several runs into the folder were interrupted, return the last one with the same options.
    """
    from harness.execution.cache import unfinished

    found = unfinished.find(out)
    if not found:
        raise click.UsageError(f"no interrupted run into {out} was found; leave out --resume to start a run")
    given = {
        name: _plain(value)
        for name, value in asked.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    differ = [[name for name in given if each.asked.get(name) != given[name]] for each in found]
    if all(differ):
        name = differ[0][0]
        raise click.UsageError(
            f"the interrupted run into {out} had {name} {found[0].asked.get(name)!r}, not {given[name]!r}; "
            f"`{shlex.join(['harness', 'run', '--resume', '--out', str(out)])}` resumes it; "
            "leave out --resume to start another run"
        )
    resumed = found.pop(differ.index([]))
    for each in found:
        each.let_go()
    if found:
        others = "another run" if len(found) == 1 else f"{len(found)} other runs"
        click.echo(f"{others} into {out} can be resumed after this one", err=True)
    return resumed


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _how_to_resume(begun: Unfinished, cache: AnswerCache, again: Sequence[str], resumed: bool) -> str:
    """Return how to resume a run that ended before its report was written, or why it cannot be resumed.

    Args:
        begun: the run.
        cache: its answers.
        again: the command that resumes it.
        resumed: whether the run was itself resumed, so that earlier answers are kept.
    """
    from harness.terminal.words import counted

    store = cache.store
    lost, reasons = store.not_kept.total(), "; ".join(store.not_kept)
    none_kept = not store.written and not resumed
    why = begun.not_kept or ("" if begun.is_kept else "the record of this run was removed from the cache")
    if none_kept and (lost or why):
        return f"nothing was kept, because {reasons or why}; the same command starts from the beginning"
    if why and begun.anew:
        return f"this run cannot be resumed, because {why}; the same command starts from the beginning"
    if why:
        return f"this run cannot be resumed, because {why}; the same command uses the answers that were kept"
    left_out = f"; {counted(lost, 'answer')} could not be kept, because {reasons}" if lost else ""
    return f"to resume: {shlex.join(again)}{left_out}"


def described(run: Run, out: Path, status: Exit) -> dict[str, Any]:
    """Return the output of --json."""
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
