"""Change the harness's own code in one place at a time, and count the mutants that the tests notice.

    python -m benchmarks.mutation [PATH ...]

The program prints every surviving mutant that ``docs/surviving_mutants.md`` does not argue, and the score by part and
module.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import click

from benchmarks.mutation.mutants import mutants
from benchmarks.mutation.reach import LinesReached, reach_of
from benchmarks.mutation.survivors import argued, line_of
from benchmarks.mutation.targets import ROOT, modules, part_of, tests_of
from benchmarks.mutation.tried import Tried, tried_before, try_all

FIRST = 40
"""Number of mutants of each module that are tried before the rest of any module."""


def score(tried: list[Tried], equivalent: set[str]) -> Iterator[str]:
    """Yield the lines of a table with the killed mutants of each part and of each module."""
    yield "| what | mutants | killed | equivalent | left | score | without equivalent ones | seconds |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    paths = sorted({each.path for each in tried})
    for part in dict.fromkeys(part_of(path) for path in paths):
        own = [path for path in paths if part_of(path) == part]
        yield _row(f"**`{part}`**", [each for each in tried if each.path in own], equivalent)
        if own != [part]:
            for path in own:
                name = path.removeprefix(part).strip("/")
                yield _row(f"`{name}`", [each for each in tried if each.path == path], equivalent)
    yield _row("**all**", tried, equivalent)


def _row(what: str, tried: list[Tried], equivalent: set[str]) -> str:
    survived = [each for each in tried if each.survived]
    same = sum(each.name in equivalent for each in survived)
    count, killed = len(tried), len(tried) - len(survived)
    known = 100 * killed / (count - same) if count > same else 100.0
    seconds = sum(each.seconds for each in tried)
    return (
        f"| {what} | {count} | {killed} | {same} | {len(survived) - same} "
        f"| {100 * killed / count:.1f} % | {known:.1f} % | {seconds:.0f} |"
    )


@click.command()
@click.argument("paths", nargs=-1)
@click.option("--sample", type=click.IntRange(1), help="Maximum number of mutants of each module, drawn at random.")
@click.option("--seed", default=0, show_default=True, help="Of the sample.")
@click.option("--processes", default=2, show_default=True, type=click.IntRange(1))
@click.option("--budget", default=8.0, show_default=True, help="Seconds of tests for each mutant.")
@click.option("--out", type=click.Path(path_type=Path), help="A file for every mutant and its outcome.")
@click.option("--resume", is_flag=True, help="Skip the mutants that --out has from an interrupted call.")
@click.option("--traces", type=click.Path(path_type=Path), help="A folder that keeps the lines that each test runs.")
@click.option(
    "--survivors-of", type=click.Path(exists=True, path_type=Path), help="Try only the survivors in such a file."
)
def main(
    paths: tuple[str, ...],
    sample: int | None,
    seed: int,
    processes: int,
    budget: float,
    out: Path | None,
    resume: bool,
    traces: Path | None,
    survivors_of: Path | None,
) -> None:
    """Change the code below PATHS (by default all in targets.py), and count the changes that the tests notice."""
    if resume and out is None:
        raise click.UsageError("--resume continues --out, but none is given; name the file that --out had")
    drawn = {path: list(mutants(ROOT / path, path)) for path in modules(paths)}
    if survivors_of is not None:
        left = {each.name for each in tried_before(survivors_of) if each.survived}
        drawn = {path: [each for each in found if each.name in left] for path, found in drawn.items()}
    # The order is random, with some mutants of every module first, so that an interrupted call is a sample, too.
    drawn = {path: random.Random(f"{seed} {path}").sample(found, len(found))[:sample] for path, found in drawn.items()}
    tried: list[Tried] = []
    if out is not None:
        if resume and out.exists():
            known = {each.name for found in drawn.values() for each in found}
            tried = [each for each in tried_before(out) if each.name in known]
        out.write_text("".join(json.dumps(asdict(each)) + "\n" for each in tried))
        before = {each.name for each in tried}
        drawn = {path: [each for each in found if each.name not in before] for path, found in drawn.items()}
    drawn = {path: found for path, found in drawn.items() if found}
    # Each module has a process of its own, in which none of our modules is imported yet.
    with ProcessPoolExecutor(processes, get_context("spawn"), max_tasks_per_child=1) as pool:
        tracing: dict[str, Future[list[LinesReached]]] = {}
        running = []
        for path, found in [
            *((path, found[:FIRST]) for path, found in drawn.items()),
            *((path, found[FIRST:]) for path, found in drawn.items() if len(found) > FIRST),
        ]:
            for file in tests_of(path):
                if file not in tracing:
                    tracing[file] = pool.submit(reach_of, ROOT, file, modules(()), traces)
            reached = [each for file in tests_of(path) for each in tracing[file].result()]
            running.append(pool.submit(try_all, ROOT, path, found, reached, budget, out))
        for ended in as_completed(running):
            tried += ended.result()
    equivalent = argued()
    for each in tried:
        if each.survived and each.name not in equivalent:
            print(line_of(each.path, each.function, each.before, each.after, each.nth), f"line {each.line}")
        elif not each.survived and each.name in equivalent:
            print(f"argued, yet killed by {each.by}: {each.name}")
    print()
    for line in score(tried, equivalent):
        print(line)


if __name__ == "__main__":
    main()
