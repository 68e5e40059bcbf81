"""The purpose of each case file: ``make library`` writes docs/cases.md.

Every fault of the catalogue (``harness.diagnosis``) and every spelling (``benchmarks.spellings``) is committed on every
case, and the faults that each case catches are noted. Cases are ordered from simple to complex: by the number of fields
that do not have their default (a gated cell counts for three), then by multiplications. A file earns its place in one
of these ways, the first that holds:

    1. by a fault that no simpler case of another file catches
    2. by a fault in a branch of the code in which no simpler case of another file runs it. A fault of the recursion has
       other branches for another activation or cell, another layer, truncation, both directions and unequal lengths. A
       fault of the loss has other branches for another loss or reduction
    3. by an extreme that no other file reaches: the most steps, the largest gradient
    4. as a document: of a disagreement between frameworks, of printed digits, of the weights that each framework makes

A spelling is caught if the comparison, with the tolerances of the case, is not a match. A fault of the catalogue is
caught if it changes a result by more than the tolerance, as in ``harness sensitivity``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.spellings import spellings
from harness.case import Loss, ValidCase, load
from harness.case.fields import Fields
from harness.case.recurrent import in_words
from harness.diagnosis import Predictions
from harness.diagnosis.faults import NetworkFault, faults
from harness.diagnosis.sight import catalogue, sight
from harness.execution.processes import Workers
from harness.execution.session import compare_for
from harness.implementations import Promise, implementations
from harness.precision.rounding_noise import rounding_noise
from harness.precision.tolerance import largest_magnitude
from harness.problem import Problem, build
from harness.result import Result, run

PAGE_PATH = Path("docs/cases.md")

MOST_WORK = 3e6
"""Maximum multiplications of a case on which the catalogue is committed: over a hundred faults, in several ways."""

DATA = ("about", "sizes", "dtype", "weights", "inputs", "initial_state", "targets", "upstream", "because")
"""Fields with numbers or words, which do not make a case more complex."""

SHOWN = 5

AMPLIFICATION = "largest amplification of roundings that leaves half of the digits"


Caught = tuple[str, str]
"""A fault, and the branch of the code in which it is caught; an empty branch means any."""


@dataclass(frozen=True)
class Findings:
    """The faults that one case catches, and the extremes that it reaches.

    Attributes:
        case: The case's name.
        order: The case's complexity: features, then multiplications.
        caught: The faults of the catalogue and the spellings, in each branch that the case runs.
        reaches: The values of the case by measure.
    """

    case: str
    order: tuple[int, float]
    caught: frozenset[Caught]
    reaches: Mapping[str, float]

    @property
    def file(self) -> str:
        """The name of its file."""
        return self.case.partition("[")[0]


def features(case: ValidCase) -> int:
    """Return the number of fields of a case that do not have their default; a gated cell counts for three."""
    plain: dict[str, Any] = {field.name: field.default for field in fields(Fields)}
    said = (getattr(case, name) != default for name, default in plain.items() if name not in (*DATA, "loss", "reset"))
    of_loss = (getattr(case.loss, field.name) != field.default for field in fields(Loss))
    return sum(said) + sum(of_loss) + (2 if case.cell != "rnn" else 0) + _native(case)


def _native(case: ValidCase) -> bool:
    return isinstance(case.weights, dict) and "from" in case.weights


def of_recursion(case: ValidCase) -> list[str]:
    """Return the branches of the code that the recursion of a case runs in."""
    cell = (
        case.activation
        if case.cell == "rnn"
        else case.cell
        if case.reset is None
        else f"{case.cell}, reset {case.reset}"
    )
    more = [f"truncated by {case.truncation['kind']}"] if isinstance(case.truncation, dict) else []
    more += ["bidirectional"] if case.bidirectional else []
    more += ["unequal lengths"] if case.lengths is not None else []
    together = [" and ".join(pair) for pair in combinations(more, 2)]
    return [cell, *more, *(f"{cell}, {each}" for each in more), *together]


def of_loss(case: ValidCase) -> list[str]:
    """Return the branches of the code that the loss of a case runs in."""
    return [f"{case.loss.kind}, {case.loss.reduction}{'' if case.loss.steps == 'all' else ', some steps'}"]


def findings(problem: Problem) -> Findings:
    """Commit every fault and spelling on a problem."""
    with np.errstate(all="ignore"):
        expected, noise = run(implementations()["numpy-split"], problem), rounding_noise(problem)
    caught = {*_spellings_caught(problem, expected, noise), *_faults_caught(problem, noise)}
    caught |= {(fault, "") for fault, _ in caught}
    reaches = _reaches(problem.case, expected, noise)
    return Findings(problem.case.name, (features(problem.case), problem.multiplications), frozenset(caught), reaches)


def _spellings_caught(problem: Problem, expected: Result, noise: Mapping[str, float]) -> Iterator[Caught]:
    for name, spelling in spellings().items():
        if spelling.obstacle(problem):
            continue
        with np.errstate(all="ignore"):
            comparison = compare_for(problem, spelling(problem), expected, noise, Promise(complete=True))
        if not comparison.matches:
            branches = of_loss if spelling.__module__.endswith(".losses") else of_recursion
            yield from ((name, branch) for branch in branches(problem.case))


def _faults_caught(problem: Problem, noise: Mapping[str, float]) -> Iterator[Caught]:
    if problem.multiplications > MOST_WORK:
        return
    predictions = Predictions(problem, noise)
    for name in sight(predictions).seen:
        fault = faults().get(name)
        branches = of_loss if fault is not None and issubclass(fault, NetworkFault) else of_recursion
        yield from ((name, branch) for branch in branches(problem.case))
    for each in predictions.singles():
        if (layer := each.suspects[0].layer) is not None:
            yield each.suspects[0].name, f"layer {layer} alone"


def _reaches(case: ValidCase, expected: Result, noise: Mapping[str, float]) -> dict[str, float]:
    sizes = [largest_magnitude(each) for each in expected.gradients.values()]
    return {
        "most steps" if case.cell == "rnn" else "most steps of a gated cell": case.sizes.time,
        "most units": case.sizes.hidden,
        "most classes": float(case.sizes.output or 0) if case.loss.kind == "softmax_cross_entropy" else 0.0,
        "largest finite gradient": max(sizes),
        AMPLIFICATION: _amplification(expected, noise),
        "most steps through several layers": case.sizes.time if case.layers > 1 else 0.0,
    }


def _amplification(expected: Result, noise: Mapping[str, float]) -> float:
    """Return the largest factor by which given roundings grow in a gradient that keeps half of its digits."""
    eps = {name: float(np.finfo(each.dtype).eps) for name, each in expected.gradients.items()}
    largest = {name: largest_magnitude(each) for name, each in expected.gradients.items()}
    kept = (name for name in eps if eps[name] * largest[name] > 0 and noise[name] <= eps[name] ** 0.5 * largest[name])
    return max((noise[name] / (eps[name] * largest[name]) for name in kept), default=0.0)


def firsts(found: Iterable[Findings]) -> dict[Caught, str]:
    """Return, for each fault and each fault in a branch, the file with the simplest case that catches it."""
    by_fault: dict[Caught, str] = {}
    for each in sorted(found, key=lambda each: (each.order, each.case)):
        for caught in each.caught:
            by_fault.setdefault(caught, each.file)
    return by_fault


def furthest(found: Sequence[Findings]) -> dict[str, list[str]]:
    """Return, for each file, the measures in which no other file goes as far."""
    reached: dict[str, dict[str, float]] = {}
    for each in found:
        for measure, value in each.reaches.items():
            of_files = reached.setdefault(measure, {})
            of_files[each.file] = max(of_files.get(each.file, 0.0), value)
    by_file: dict[str, list[str]] = {}
    for measure, of_files in reached.items():
        largest = max(of_files.values())
        there = [file for file, value in of_files.items() if value == largest]
        if len(there) == 1:
            by_file.setdefault(there[0], []).append(
                f"{measure} ({largest:,.0f})" if largest < 1e6 else f"{measure} ({largest:.0e})"
            )
    return by_file


def reason(
    file: str, cases: Sequence[ValidCase], first: Mapping[Caught, str], furthest_of: Mapping[str, list[str]]
) -> str:
    """Return the purpose of a file in words; empty if it has none."""
    alone = sorted(fault for (fault, branch), by in first.items() if by == file and not branch)
    if alone:
        return "; ".join([_shown(alone), *furthest_of.get(file, [])])
    by_branch: dict[str, list[str]] = {}
    for (fault, branch), by in sorted(first.items()):
        if by == file:
            by_branch.setdefault(branch, []).append(fault)
    said = [f"*{branch}:* {_shown(faults, 2)}" for branch, faults in by_branch.items()]
    said += furthest_of.get(file, [])
    if cases[0].expect == "mismatch":
        said = [f"documents a disagreement of {', '.join(_named(cases))}"]
    if any(each.published is not None for each in cases):
        said.append("holds printed digits")
    if not said and any(map(_native, cases)):
        made_by = dict.fromkeys(each.weights["from"] for each in cases if _native(each))
        said.append(f"holds the weights that {', '.join(made_by)} give themselves")
    if not said and file.startswith("tutorials/"):
        said.append("holds what a tutorial computes")
    return "; ".join(said)


def _named(cases: Iterable[ValidCase]) -> list[str]:
    """Return the implementations that disagree: those that take part only when named, if there are any."""
    named = list(dict.fromkeys(name for each in cases for name in each.implementations or ()))
    return [name for name in named if implementations()[name].only_named] or named


def _shown(faults: Sequence[str], most: int = SHOWN) -> str:
    more = f" and {len(faults) - most} more" if len(faults) > most else ""
    return ", ".join(faults[:most]) + more


def sizes_of(cases: Sequence[ValidCase]) -> str:
    """B, T, I, H and O of a file's cases, of a recurrence B, T and its letters; each a number or a range."""
    sizes = [vars(each.sizes) if each.recurrence is None else in_words(each)["sizes"] for each in cases]
    columns = [sorted({each[name] for each in sizes} - {None}) for name in sizes[0]]
    return ", ".join(f"{each[0]}" if len(each) == 1 else f"{each[0]}–{each[-1]}" for each in columns if each)


def by_file_of(cases: Iterable[ValidCase]) -> dict[str, list[ValidCase]]:
    """Return cases by the name of their file."""
    by_file: dict[str, list[ValidCase]] = {}
    for case in cases:
        by_file.setdefault(case.name.partition("[")[0], []).append(case)
    return by_file


def recurrences_table(cases: Iterable[ValidCase]) -> str:
    """Return the rows of the files of recurrences."""
    return "\n".join(
        f"| {file} | {each[0].about} | {sizes_of(each)} | {len(each)} "
        f"| every route to the gradients of {'a network of ' * each[0].is_network}{each[0].cell} |"
        for file, each in sorted(by_file_of(cases).items())
    )


def table(found: Sequence[Findings], cases: Sequence[ValidCase], of_recurrences: Sequence[ValidCase]) -> str:
    """Return docs/cases.md.

    Args:
        found: what each case of a network catches.
        cases: the cases of networks.
        of_recurrences: the cases of recurrences.
    """
    first, far = firsts(found), furthest(found)
    by_file = by_file_of(cases)
    order: dict[str, tuple[int, float]] = {}
    for each in found:
        order[each.file] = min(order.get(each.file, each.order), each.order)
    rows = [
        f"| {file} | {by_file[file][0].about} | {sizes_of(by_file[file])} | {len(by_file[file])} "
        f"| {reason(file, by_file[file], first, far) or regime(file, found)} |"
        for file in sorted(by_file, key=lambda file: (order[file], file))
    ]
    caught = {fault for fault, branch in first if not branch}
    known = [(name, first[name, ""], text) for name, text in described().items() if name in caught]
    missed = [name for name in spellings() if name not in caught]
    return PAGE.format(
        files=len(by_file),
        cases=len(cases),
        faults=len(caught),
        rows="\n".join(rows),
        recurrences=recurrences_table(of_recurrences),
        spellings="\n".join(f"| {name} | {file} | {text} |" for name, file, text in known if name in spellings()),
        missed=f"No case catches {', '.join(missed)}." if missed else "A case catches each of them.",
    )


def regime(file: str, found: Iterable[Findings]) -> str:
    """Return the extremes of a file that catches nothing by itself, in words."""
    noise = max(each.reaches[AMPLIFICATION] for each in found if each.file == file)
    work = max(each.order[1] for each in found if each.file == file)
    return (
        f"no fault by itself; a regime: {work:,.0f} multiplications, roundings amplified {noise:,.0f} times, and right "
        "answers within 16 times that"
    )


def described() -> dict[str, str]:
    """Return every fault and spelling with its explanation."""
    return {**catalogue(), **{name: each.about for name, each in spellings().items()}}


PAGE = """# The cases

{files} files make {cases} cases, and together they catch {faults} faults. The files are in order from simple to
complex. The last column is the purpose of each: faults that no simpler case of another file catches (*in italics:* in
that branch of the code), or an extreme that no other file reaches. `make library` writes this page; the docstring of
`benchmarks/case_library.py` defines simple, caught and branch. `harness list faults` describes the faults of the
catalogue. Those below the table are right formulas, spelt so that they go wrong on some numbers.

| file | about | B, T, I, H, O | cases | what it alone, or first, catches |
| --- | --- | --- | --- | --- |
{rows}

## Recurrences

Each file checks a [recurrence of the library](another-cell.md), alone or in a network: its routes to the gradients must
agree.

| file | about | B, T, then its letters | cases | what it compares |
| --- | --- | --- | --- | --- |
{recurrences}

## Spellings

Each is the reference with one part written differently (`benchmarks/spellings`). {missed}

| spelling | simplest case that catches it | difference |
| --- | --- | --- |
{spellings}
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Commit every fault and spelling on every case, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=PAGE_PATH)
    chosen = parser.parse_args(arguments)
    loaded = load(["cases"], implementations())
    if loaded.mistakes:
        raise SystemExit("\n".join(map(str, loaded.mistakes)))
    start = time.perf_counter()
    networks = [case for case in loaded.cases if case.recurrence is None]
    of_recurrences = [case for case in loaded.cases if case.recurrence is not None]
    with Workers() as workers:
        problems = [build(case, workers.native_weights) for case in networks]
    with ProcessPoolExecutor(chosen.processes, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(findings, problems, chunksize=4))
    chosen.out.write_text(table(found, networks, of_recurrences), encoding="utf-8")
    print(f"{len(problems)} cases in {time.perf_counter() - start:.0f} s; {chosen.out}")


if __name__ == "__main__":
    main()
