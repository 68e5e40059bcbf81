"""Count small edits of hand-written backward passes that are detected and explained.

    python -m benchmarks.edits [--pairs 200] [--random 1000] [--most 60] [--of networks --around lengths] [--missed]

Each pass is written plainly, apart from the rules of the diagnosis. Every small edit of its backward part is made by
itself, then pairs of plausible edits drawn at random. An answer is explained in full if each wrong tensor is, in part
if some are. Answers of random numbers have no explanation, so that each explanation of them is false.
"""

from __future__ import annotations

import argparse
import random
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy import ndarray

import harness
from benchmarks.edits import apart, networks, passes
from benchmarks.edits.editing import PLAUSIBLE, SORTS, Edit, Pass, overlap
from harness.derive.noise import rounding_noise
from harness.diagnosis import UNEXPLAINED, Diagnosis
from harness.diagnosis.recurrent import Explainer
from harness.problem.recurrent import RecurrenceProblem
from harness.recurrences import recurrences

SAME = 1e-12
"""Relative to the largest element: numbers so near are the same."""

OUTCOMES = ("in full", "in part", "unexplained", "undetected")

REFERENCE = ("delta_net", "layer_norm_lstm", "min_gru", "mlstm", "peephole_lstm", "selective_scan")
"""The recurrences that ``reference_impls`` has backward passes of."""

Count = Counter[tuple[str, str]]

Call = Callable[[Callable[..., Any], Any], dict[str, Any]]
"""Calls a pass, edited or not, with a problem."""


def _plainly(function: Callable[..., Any], problem: Any) -> dict[str, Any]:
    return function(problem)


def _reference() -> list[tuple[Any, Callable[..., Any], Call]]:
    """Return the passes of ``reference_impls``, whose forward and backward parts are functions of their own."""
    found = []
    for name in REFERENCE:
        module = import_module(f"reference_impls.{name}")

        def call(function: Callable[..., Any], problem: Any, module: Any = module) -> dict[str, Any]:
            cache = module.forward(problem.weights, problem.inputs, problem.initial_state)
            return function(problem.weights, cache, problem.upstream, problem.upstream_state)

        found.append((recurrences()[name], module.backward, call))
    return found


class Bench:
    """One pass, its problem and what explains wrong answers to it."""

    def __init__(self, recurrence: Any, function: Callable[..., Any], call: Call = _plainly) -> None:
        self.name, self._call = recurrence.name, call
        self.problem: RecurrenceProblem = recurrence.problem(seed=5)
        self.source = Pass(function)
        started = time.perf_counter()
        self.explainer = Explainer(self.problem, rounding_noise(self.problem.sequences))
        self.right = call(function, self.problem)
        self.explained({name: 1.5 * array + 0.1 for name, array in self.right.items()})
        self.prepared = time.perf_counter() - started
        self.seconds: list[float] = []

    def answer(self, edits: Sequence[Edit]) -> dict[str, ndarray] | str:
        """Return what the edited pass returns, or why it is no answer that only the numbers show to be wrong."""
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = self._call(self.source.edited(edits), self.problem.copy())
        except Exception:  # an edit may break anything
            return "raises"
        if any(np.shape(array) != self.right[name].shape for name, array in found.items()):
            return "another shape"
        if not all(np.isfinite(array).all() for array in found.values()):
            return "not finite"
        if all(_near(found[name], array) for name, array in self.right.items()):
            return "same numbers"
        return found

    def explained(self, answer: Mapping[str, ndarray]) -> tuple[str, list[Diagnosis]]:
        """Return an outcome and the diagnoses."""
        found = self._diagnosed(answer)
        unexplained = [each for each in found if each.fault == UNEXPLAINED]
        if not found:
            return "undetected", found
        if not unexplained:
            return "in full", found
        return ("in part" if len(found) > len(unexplained) else "unexplained"), found

    def _diagnosed(self, answer: Mapping[str, ndarray]) -> list[Diagnosis]:
        return self.explainer.explained(answer)

    def timed(self, answer: Mapping[str, ndarray]) -> tuple[str, list[Diagnosis]]:
        """Return an outcome and the diagnoses, and keep how long it took."""
        started = time.perf_counter()
        found = self.explained(answer)
        self.seconds.append(time.perf_counter() - started)
        return found


class NetworkBench(Bench):
    """One pass as the layer of a network, which is diagnosed as from Python."""

    def __init__(self, cell: str, function: Callable[..., Any], more: dict[str, Any]) -> None:
        self.name, self._call = cell, networks.called
        self.problem: Any = networks.problem_of(cell, more)
        self.source = Pass(function)
        self.right = networks.called(function, self.problem)
        self.prepared, self.seconds = 0.0, []

    def _diagnosed(self, answer: Mapping[str, ndarray]) -> list[Diagnosis]:
        return harness.diagnose(answer, self.problem)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--random", type=int, default=1000)
    parser.add_argument("--most", type=int, default=60, help="edits of each sort that is not plausible, for each pass")
    kinds = ("plain", "apart", "reference", "networks")
    parser.add_argument("--of", choices=kinds, default="plain", help="which passes; those of networks are plain ones")
    parser.add_argument("--around", choices=networks.KINDS, default="one layer", help="which networks")
    parser.add_argument("--missed", action="store_true", help="print what is not explained in full")
    chosen = parser.parse_args(arguments)
    chosen_passes: Any = {"plain": passes.PASSES, "apart": apart.PASSES, "networks": ()}.get(chosen.of)
    chosen_passes = _reference() if chosen_passes is None else chosen_passes
    benches = [Bench(*each) for each in chosen_passes]
    if chosen.of == "networks":
        more = networks.KINDS[chosen.around]
        benches = [NetworkBench(cell, each, {**own, **more}) for cell, each, own in networks.PASSES]
    _single(benches, chosen.most, show=chosen.missed)
    _pairs(benches, chosen.pairs, show=chosen.missed)
    _random(benches, chosen.random)
    seconds = np.array([each for bench in benches for each in bench.seconds])
    prepared = max(bench.prepared for bench in benches)
    print(
        f"\nPrepared in at most {prepared:.2f} s; a diagnosis takes {1e3 * np.median(seconds):.0f} ms (median), "
        f"{1e3 * np.quantile(seconds, 0.95):.0f} ms (95 %), {seconds.max():.1f} s (most)."
    )


def _single(benches: Sequence[Bench], most: int, *, show: bool) -> None:
    by_sort, by_pass, other = Counter[tuple[str, str]](), Counter[tuple[str, str]](), Counter[str]()
    for bench in benches:
        seen: set[bytes] = set()
        for edit in _chosen(bench.source.edits, most):
            answer = bench.answer([edit])
            if isinstance(answer, str):
                other[answer] += 1
                continue
            key = b"".join(array.tobytes() for array in answer.values())
            if key in seen:
                other["as an edit before"] += 1
                continue
            seen.add(key)
            outcome, found = bench.timed(answer)
            by_sort[edit.sort, outcome] += 1
            if edit.sort in PLAUSIBLE:
                by_pass[bench.name, outcome] += 1
            if show and outcome != "in full":
                print(f"    {bench.name}, {edit.sort}, {outcome}: {edit.text}\n        {[str(e) for e in found]}")
    print("\nSingle edits by sort; those that leave the numbers as they are, or as another edit does, are left out")
    _table(by_sort, SORTS, PLAUSIBLE)
    print("\nPlausible single edits by pass")
    _table(by_pass, [bench.name for bench in benches])
    print(f"\nNot counted: {', '.join(f'{n} {text}' for text, n in other.items())}.")


def _chosen(edits: Sequence[Edit], most: int) -> list[Edit]:
    """Return all plausible edits, and at most so many of each other sort, drawn at random."""
    draw, found = random.Random(0), [each for each in edits if each.sort in PLAUSIBLE]
    for sort in SORTS:
        others = [each for each in edits if each.sort == sort and sort not in PLAUSIBLE]
        found += draw.sample(others, min(most, len(others)))
    return found


def _pairs(benches: Sequence[Bench], number: int, *, show: bool) -> None:
    draw, count = random.Random(0), Counter[tuple[str, str]]()
    pools = [[each for each in bench.source.edits if each.sort in PLAUSIBLE] for bench in benches]
    drawn = 0
    while drawn < number:
        bench, pool = draw.choice(list(zip(benches, pools, strict=True)))
        one, other = draw.sample(pool, 2)
        if overlap(one, other) or any(isinstance(bench.answer([each]), str) for each in (one, other)):
            continue
        answer = bench.answer([one, other])
        if isinstance(answer, str):
            continue
        drawn += 1
        outcome, found = bench.timed(answer)
        count[bench.name, outcome] += 1
        if show and outcome != "in full":
            print(f"    {bench.name}, {outcome}: {one.text}\n        {other.text}\n        {[str(e) for e in found]}")
    print("\nPairs of plausible edits by pass")
    _table(count, [bench.name for bench in benches])


def _random(benches: Sequence[Bench], number: int) -> None:
    draw = np.random.Generator(np.random.PCG64(0))
    count = Counter[tuple[str, str]]()
    kinds = ("one number", "one row", "one tensor", "two tensors", "every gradient")
    for i in range(number):
        bench, kind = benches[i % len(benches)], kinds[i // len(benches) % len(kinds)]
        answer = spoilt(bench.right, kind, draw)
        outcome, found = bench.explained(answer)
        count[kind, outcome] += 1
        if outcome != "unexplained":
            print(f"    {bench.name}, {kind}: {[str(each) for each in found]}")
    print("\nAnswers with random numbers: each explanation is false")
    _table(count, kinds)


def spoilt(right: Mapping[str, ndarray], kind: str, draw: np.random.Generator) -> dict[str, ndarray]:
    """Return an answer with random numbers of about the right size in place of some."""
    names = [name for name, array in right.items() if np.abs(array).max() > 0]
    number = {"every gradient": len(names), "two tensors": 2}.get(kind, 1)
    found = {name: np.array(array) for name, array in right.items()}
    for name in draw.choice(names, number, replace=False):
        array = found[name]
        noise = draw.normal(size=array.shape) * np.abs(array).max()
        if kind == "one number":
            place = np.unravel_index(draw.integers(array.size), array.shape)
            array[place] = noise[place]
        elif kind == "one row":
            row = draw.integers(len(array))
            array[row] = noise[row]
        else:
            found[name] = noise
    return found


def _table(count: Count, rows: Sequence[str], plausible: Sequence[str] = ()) -> None:
    print("\n| | answers | " + " | ".join(OUTCOMES) + " | in full, % |\n| --- |" + " ---: |" * 6)
    totals = [("all", tuple(rows))]
    if plausible:
        totals.insert(0, ("plausible", tuple(plausible)))
    for title, included in [*((row, (row,)) for row in rows), *totals]:
        numbers = [sum(count[row, outcome] for row in included) for outcome in OUTCOMES]
        whole = sum(numbers)
        if whole:
            print(f"| {title} | {whole} | " + " | ".join(map(str, numbers)) + f" | {100 * numbers[0] / whole:.0f} |")


def _near(one: ndarray, other: ndarray) -> bool:
    return bool((np.abs(one - other) <= SAME * np.abs(other).max(initial=1e-300)).all())


if __name__ == "__main__":
    main()
