"""Changes our own code in one place at a time, and counts how many of these mutants the tests notice.

    python -m benchmarks.mutation [PATH ...]

Prints the score by part, and every mutant that survived. A survivor is either a test that is missing or argued in
``docs/mutation.md``.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import click

from benchmarks.mutation.mutants import Mutant, mutants
from benchmarks.mutation.targets import ROOT, modules, part_of, tests_of
from benchmarks.mutation.tried import Tried, try_all


def score(tried: Iterable[Tried]) -> Iterator[str]:
    """Say how many of the mutants of each part were killed, in a table."""
    tries, killed = Counter[str](), Counter[str]()
    for each in tried:
        for place in (part_of(each.path), "all"):
            tries[place] += 1
            killed[place] += each.verdict != "survived"
    yield "| what | mutants | killed | survived | score |\n| --- | --- | --- | --- | --- |"
    for place, count in tries.items():
        dead = killed[place]
        yield f"| {place} | {count} | {dead} | {count - dead} | {100 * dead / count:.1f} % |"


@click.command()
@click.argument("paths", nargs=-1)
@click.option("--sample", type=click.IntRange(1), help="Draw this many of each module that has more.")
@click.option("--seed", default=0, show_default=True, help="Of the sample.")
@click.option("--processes", default=2, show_default=True, type=click.IntRange(1))
@click.option("--budget", default=8.0, show_default=True, help="Seconds of tests for each mutant, quickest first.")
@click.option("--out", type=click.Path(path_type=Path), help="A file for every mutant and what became of it.")
@click.option("--survivors-of", type=click.Path(exists=True, path_type=Path), help="Try only those of such a file.")
def main(
    paths: tuple[str, ...],
    sample: int | None,
    seed: int,
    processes: int,
    budget: float,
    out: Path | None,
    survivors_of: Path | None,
) -> None:
    """Change the code below PATHS, all that is named in targets.py unless given, and count what the tests notice."""
    drawn = {path: list(mutants(ROOT / path, path)) for path in modules(paths)}
    if survivors_of is not None:
        earlier = [Tried(**json.loads(line)) for line in survivors_of.read_text().splitlines()]
        left = {each.key for each in earlier if each.verdict == "survived"}
        drawn = {
            path: [each for each in found if (path, each.function, each.before, each.after) in left]
            for path, found in drawn.items()
        }
    # In no order, so that what was tried until somebody interrupts is a sample, too.
    draw = random.Random(seed)
    alike: dict[tuple[bool, tuple[str, ...]], list[Mutant]] = defaultdict(list)
    for path, found in drawn.items():
        for each in draw.sample(found, min(sample or len(found), len(found))):
            alike[not each.function, tests_of(path)].append(each)
    for found in alike.values():
        draw.shuffle(found)
    if out is not None:
        out.write_text("")
    tried: list[Tried] = []
    # A process of its own for each, in which none of our modules is imported yet.
    with ProcessPoolExecutor(processes, get_context("spawn"), max_tasks_per_child=1) as pool:
        running = [pool.submit(try_all, tests, found, budget, out) for (_, tests), found in sorted(alike.items())]
        for ended in as_completed(running):
            tried += ended.result()
    for each in tried:
        if each.verdict == "survived":
            print(f"{each.path}:{each.line} {each.function or '-'}: {each.before}  ->  {each.after}")
    print()
    for line in score(tried):
        print(line)


if __name__ == "__main__":
    main()
