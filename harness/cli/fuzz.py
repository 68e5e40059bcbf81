"""``harness fuzz``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.exits import Exit
from harness.cli.new import CELLS
from harness.cli.options import chosen, finite, keeps, need
from harness.terminal import write_json

if TYPE_CHECKING:
    from harness.fuzz.searching import FuzzSearch

    pass

CASES = 1000


@click.command("fuzz")
@click.option("--cases", type=click.IntRange(min=1), help=f"Number of cases; {CASES:,} unless --seconds is given.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), callback=finite, help="Seconds to search.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed: the same seed makes the same cases; random by default.")
@click.option("--cell", type=click.Choice(CELLS), help="Only cases of this cell.")
@click.option("--impl", "names", metavar="A,B", help="Only these implementations; by default those in NumPy and torch.")
@click.option("--baseline", default="numpy-split", show_default=True, help="Implementation to compare with.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("cases/found"),
    show_default=True,
    help="Folder for the case files of disagreements.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    cases: int | None,
    seconds: float | None,
    seed: int | None,
    cell: str | None,
    names: str | None,
    baseline: str,
    out: Path,
    as_json: bool,
) -> None:
    """Run random valid cases; shrink each disagreement to a minimal case file.

    Each disagreement, crash, NaN or hang of an implementation is shrunk to the smallest case that shows it. The case is
    written below cases/found, where harness run finds it like any other. The exit status is 1 if something was found.
    """
    need("hypothesis", extra="fuzz")
    import random

    from harness.execution.processes import WorkerFailed
    from harness.execution.session import not_installed
    from harness.fuzz.candidates import Drawing, default_implementations, native_frameworks
    from harness.fuzz.searching import Limit, search

    (of_baseline,) = chosen([baseline])
    if names is not None:
        asked = chosen(names.split(","))
    else:
        asked = default_implementations()
        for line in not_installed(asked):
            click.echo(f"warning: {line}", err=True)
        asked = [each for each in asked if not not_installed([each])]
    if not [each for each in asked if each.name != baseline]:
        raise click.UsageError(f"{baseline} is the baseline; name another implementation to compare with it")
    drawing = Drawing(
        random.SystemRandom().randrange(10**6) if seed is None else seed,
        {} if cell is None else {"cell": cell},
        native_frameworks(asked),
    )
    keeps(
        f"the case files found so far are in {out}; to search the same cases again: harness fuzz --seed {drawing.seed}"
    )
    limit = Limit(CASES if cases is None and seconds is None else cases, seconds)
    try:
        done = search(drawing, asked, of_baseline, out, limit, _Progress())
    except WorkerFailed as failure:
        raise click.UsageError(f"{failure.reason}\n{failure.detail}") from None
    if as_json:
        write_json(described(done))
    else:
        _print(done)
    raise click.exceptions.Exit(Exit.MISMATCH if done.found else Exit.AS_EXPECTED)


class _Progress:
    """Writes a line to standard error every ``EVERY`` seconds, and one for each disagreement."""

    EVERY = 10.0

    def __init__(self) -> None:
        self._last, self._found = 0.0, 0

    def __call__(self, done: FuzzSearch) -> None:
        if len(done.found) > self._found or done.seconds > self._last + self.EVERY:
            self._last, self._found = done.seconds, len(done.found)
            click.echo(f"{done.cases:,} cases in {done.seconds:,.0f} s, {len(done.found)} found", err=True)


def _print(done: FuzzSearch) -> None:
    from harness.terminal.words import counted

    for each in done.found:
        side = f" ({each.wrong.side})" if each.wrong.side else ""
        click.echo(f"{each.wrong.implementation}: {each.wrong.verdict}: {each.wrong.what}{side}")
        if each.file is None:
            click.echo(f"  seen once, in case {each.number:,} or a later one, and not reproduced\n")
        else:
            next_command = shlex.join(["harness", "run", str(each.file)])
            click.echo(f"  case {each.number:,}, shrunk to {each.file}\n  next: {next_command}\n")
    compared = ", ".join(f"{name} {count:,}" for name, count in sorted(done.compared.items()))
    rate = done.cases / done.seconds if done.seconds else 0.0
    found = f"Failed: {counted(len(done.found), 'disagreement')}" if done.found else "Passed: no disagreement"
    click.echo(f"{found} in {counted(done.cases, 'case')} ({rate:,.0f} per second, seed {done.seed}).")
    click.echo(f"Cases compared: {compared or 'none'}")


def described(done: FuzzSearch) -> dict[str, Any]:
    """Return the output of --json."""
    return {
        "seed": done.seed,
        "cases": done.cases,
        "seconds": done.seconds,
        "compared": dict(done.compared),
        "suspected": done.suspected,
        "found": [
            {
                "case": each.number,
                "implementation": each.wrong.implementation,
                "verdict": each.wrong.verdict,
                "what": each.wrong.what,
                "oracle": each.wrong.side,
                "file": None if each.file is None else str(each.file),
            }
            for each in done.found
        ],
    }
