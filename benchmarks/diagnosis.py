"""The accuracy of diagnoses: every fault on the default cases, pairs of faults, and right gradients of random cases.

    make diagnosis-benchmark

The diagnosed numbers are those of an implementation with the fault. They are computed in the case's dtype. Then each is
moved at random by up to two roundings of its tensor's largest element, like another order of summation.
The table counts:

    detected    a mistake is found
    first       the fault is named first
    tie         another fault that gives the same numbers on this case is named first, and the fault is named with it
    in three    the fault is among the first three

A fault that changes no number of a case by more than the tolerance is not counted; ``harness sensitivity`` lists those.
Pairs are drawn from the faults that show on a case. They are counted if the two together give other numbers than either
alone.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
from numpy import ndarray

from harness.case import Loss, Sizes, ValidCase, load
from harness.diagnosis import Predictions, diagnose
from harness.diagnosis.committing import right, with_faults
from harness.diagnosis.faults import Suspect
from harness.diagnosis.tensor_faults import TENSOR_FAULTS, Subject
from harness.execution.processes import Workers
from harness.implementations import implementations
from harness.precision.rounding_noise import rounding_noise
from harness.problem import Problem, build
from harness.problem.reference import solve
from reference_impls.activations import ACTIVATIONS

Tensors = dict[str, ndarray]


@dataclass(frozen=True)
class Finding:
    """The diagnosis of one wrong answer.

    Attributes:
        fault: The fault, or the two faults.
        case, dtype, cell: The case.
        detected, first, tie, in_three: As above.
        seconds: The seconds of the diagnosis and its preparation, if it was timed.
        named: The fault that was named first.
    """

    fault: str
    case: str
    dtype: str
    cell: str
    detected: bool
    first: bool
    tie: bool
    in_three: bool
    seconds: float | None
    named: str


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help="cases, files or folders; all of cases/ if none is named")
    parser.add_argument("--pairs", type=int, default=8, help="pairs drawn for each case")
    parser.add_argument("--right", type=int, default=4000, help="random cases with right gradients")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args(arguments)
    start = time.perf_counter()
    problems = _problems(chosen.cases)
    with ProcessPoolExecutor(chosen.processes, mp_context=get_context("spawn")) as pool:
        singles = [each for found in pool.map(_singles, problems) for each in found]
        seeds = range(chosen.seed, chosen.seed + len(problems))
        pairs = [each for found in pool.map(_pairs, problems, seeds, [chosen.pairs] * len(problems)) for each in found]
        alarms = sum(pool.map(_false_alarms, _batches(chosen.right, chosen.seed)))
    print(f"{len(problems)} cases, {time.perf_counter() - start:.0f} s\n")
    _print_table("fault", _grouped(singles, lambda each: each.fault), singles)
    print()
    _print_table("dtype", _grouped(singles, lambda each: each.dtype), singles)
    print()
    _print_table("cell", _grouped(singles, lambda each: each.cell), singles)
    print()
    _print_table("two faults at once", _grouped(pairs, lambda each: each.dtype), pairs)
    print()
    _print_table("two faults at once, by cell", _grouped(pairs, lambda each: each.cell), pairs)
    print(f"\nRight gradients of {chosen.right} random cases: {alarms} false alarms.")
    for name, findings in (("one fault", singles), ("two", pairs)):
        timed = [each for each in findings if each.seconds is not None]
        times = np.sort([each.seconds for each in timed])
        slowest = max(timed, key=lambda each: each.seconds or 0.0)
        most = times[int(0.95 * len(times))]
        print(
            f"Seconds for a diagnosis of {name}: median {np.median(times):.2f}, 95 % under {most:.2f}, "
            f"longest {times[-1]:.2f} ({slowest.fault} on {slowest.case})."
        )
    print("\nNot named first, nor tied:\n")
    for each in [*singles, *pairs]:
        if not each.first and not each.tie:
            print(f"    {each.case}: {each.fault} -> {each.named}")


def _problems(names: Sequence[str]) -> list[Problem]:
    loaded = load(list(names), implementations())
    if loaded.mistakes:
        raise SystemExit("\n".join(map(str, loaded.mistakes)))
    with Workers() as workers:
        return [build(case, workers.native_weights) for case in loaded.cases if case.recurrence is None]


def _singles(problem: Problem) -> list[Finding]:
    """Return a finding for every fault that shows, with random parameters and layers among those that show."""
    draw = random.Random(problem.case.name)
    with np.errstate(all="ignore"):
        predictions = Predictions(problem, rounding_noise(problem))
        by_fault: dict[str, list[Suspect]] = defaultdict(list)
        for each in predictions.singles():
            by_fault[each.suspects[0].name].append(each.suspects[0])
        found = []
        for name, suspects in by_fault.items():
            suspect = draw.choice([s for s in suspects if s.layer is None] or suspects)
            # The time of the first includes the preparation of the problem.
            prepared = predictions if found else Predictions(problem, predictions.noise)
            found.append(_named({name}, name, _committed(problem, (suspect,)), prepared, timed=not found))
        spoilt = {name: _spoilt(problem, predictions, name, draw) for name in TENSOR_FAULTS}
        found += [_named({name}, name, each, predictions) for name, each in spoilt.items() if each is not None]
    return found


def _pairs(problem: Problem, seed: int, count: int) -> list[Finding]:
    draw = random.Random(f"{seed} {problem.case.name}")
    with np.errstate(all="ignore"):
        predictions = Predictions(problem, rounding_noise(problem))
        by_fault: dict[str, list[Suspect]] = defaultdict(list)
        for each in predictions.singles():
            if each.suspects[0].layer is None:
                by_fault[each.suspects[0].name].append(each.suspects[0])
        found: list[Finding] = []
        for _ in range(4 * count):
            if len(found) == count or len(by_fault) < 2:
                break
            names = draw.sample(sorted(by_fault), 2)
            two = tuple(draw.choice(by_fault[name]) for name in names)
            together = predictions.predict(two)
            alone = [predictions.predict((suspect,)) for suspect in two]
            if not together.changed or any(_same(together.changed, each.changed, predictions) for each in alone):
                continue
            prepared = predictions if found else Predictions(problem, predictions.noise)
            answer = _committed(problem, two)
            found.append(_named(set(names), " + ".join(names), answer, prepared, timed=not found))
    return found


def _same(a: Tensors, b: Tensors, predictions: Predictions) -> bool:
    return a.keys() == b.keys() and all(
        bool((np.abs(a[name] - b[name]) <= predictions.bounds[name]).all()) for name in a
    )


def _committed(problem: Problem, suspects: tuple[Suspect, ...]) -> Tensors:
    """Return the answer of an implementation with these faults, in the case's dtype."""
    true = right(problem)
    true.tensors()
    return rounded_anew(with_faults(true, suspects), problem)


def _spoilt(problem: Problem, predictions: Predictions, name: str, draw: random.Random) -> Tensors | None:
    """Return the answer of an implementation that spoils one tensor; None if no tensor can be spoilt."""
    tensors = [each for each in predictions.truth if each != "loss"]
    draw.shuffle(tensors)
    for tensor in tensors:
        candidates = list(TENSOR_FAULTS[name][1](Subject(tensor, predictions.truth, problem)))
        for candidate in draw.sample(candidates, len(candidates)):
            apart = np.abs(candidate.predicted - predictions.truth[tensor]) > predictions.bounds[tensor]
            if apart.any():
                return rounded_anew({**predictions.truth, tensor: candidate.predicted}, problem)
    return None


def rounded_anew(tensors: dict[str, ndarray], problem: Problem) -> Tensors:
    """Return tensors in the case's dtype, each number moved by up to two roundings of its tensor's largest."""
    random_ = np.random.default_rng(0)
    eps = np.finfo(problem.case.dtype).eps
    moved = {}
    for name, tensor in tensors.items():
        finite = np.abs(tensor[np.isfinite(tensor)])
        # Zeros stay zero and equal numbers stay equal: no order of summation changes that.
        shaken = tensor + eps * finite.max(initial=0.0) * random_.uniform(-2, 2, tensor.shape) * (tensor != 0)
        alike = tensor.size > 1 and len(np.unique(finite)) < finite.size
        moved[name] = np.asarray(tensor if alike else shaken, problem.case.dtype)
    return moved


def _named(wanted: set[str], fault: str, actual: Tensors, predictions: Predictions, *, timed: bool = False) -> Finding:
    start = time.perf_counter()
    found = diagnose(actual, predictions)
    seconds = time.perf_counter() - start
    names = [set(each.fault.split(" + ")) for each in found]
    case = predictions.problem.case
    return Finding(
        fault=fault,
        case=case.name,
        dtype=case.dtype,
        cell=case.cell,
        detected=bool(found),
        first=bool(names) and names[0] == wanted,
        tie=wanted in names[1:],
        in_three=wanted in names[:3],
        seconds=seconds if timed else None,
        named=found[0].fault if found else "nothing",
    )


def _batches(count: int, seed: int) -> Iterable[tuple[int, int]]:
    size = 250
    return [(seed + first, min(size, count - first)) for first in range(0, count, size)]


def _false_alarms(batch: tuple[int, int]) -> int:
    seed, count = batch
    alarms = 0
    for number in range(count):
        problem = random_problem(random.Random(f"{seed} {number}"))
        with np.errstate(all="ignore"):
            tensors = rounded_anew(solve(problem), problem)
            alarms += bool(diagnose(tensors, Predictions(problem, rounding_noise(problem))))
    return alarms


def random_problem(draw: random.Random) -> Problem:
    """Return the problem of a random small case."""
    return build(_random_case(draw), no_weights)


def no_weights(*_: object) -> Tensors:
    """Fail: a random case asks for no framework's weights."""
    raise AssertionError("a random case asks for no framework's weights")


def _random_case(draw: random.Random) -> ValidCase:
    readout = draw.random() < 0.5
    kind = draw.choice(["squared_error", "dot", *(["softmax_cross_entropy"] if readout else [])])
    time_ = draw.randint(1, 9)
    output = draw.randint(2, 6) if readout else None
    scale = draw.choice([0.1, 0.5, 1.0, 2.0])
    cell = draw.choice(["rnn", "lstm", "gru"])
    targets: dict[str, object] = {"normal": 1.0, "seed": draw.randrange(1000)}
    if kind == "softmax_cross_entropy":
        targets = {"uniform": (0.0, float(output or 0)), "seed": draw.randrange(1000)}
    return ValidCase(
        name="random",
        file="random",
        cell=cell,  # type: ignore[arg-type]
        reset=draw.choice(["after", "before"]) if cell == "gru" else None,  # type: ignore[arg-type]
        activation=draw.choice(list(ACTIVATIONS)) if cell == "rnn" else "tanh",  # type: ignore[arg-type]
        layers=draw.randint(1, 3),
        sizes=Sizes(draw.randint(1, 4), time_, draw.randint(1, 5), draw.randint(1, 6), output),
        dtype=draw.choice(["float32", "float64"]),  # type: ignore[arg-type]
        weights={"normal": scale, "seed": draw.randrange(1000)},
        inputs={"normal": draw.choice([0.1, 1.0, 10.0]), "seed": draw.randrange(1000)},
        initial_state={"normal": draw.choice([0.0, 1.0]), "seed": draw.randrange(1000)},
        readout="linear" if readout else "none",
        loss=Loss(kind, draw.choice(["all", (-1,)]), draw.choice(["sum", "mean"])),  # type: ignore[arg-type]
        targets=None if kind == "dot" else targets,  # type: ignore[arg-type]
        upstream={"normal": 1.0, "seed": 7} if kind == "dot" else None,
    )


def _grouped(findings, key):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    groups = defaultdict(list)
    for each in findings:
        groups[key(each)].append(each)
    return groups


def _print_table(title: str, groups: dict[str, list[Finding]], everything: list[Finding]) -> None:
    print(f"| {title} | shown in | detected | first | tie | first or tie | in three |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, findings in [*groups.items(), ("**all**", everything)]:
        count = len(findings)
        parts = [
            sum(each.detected for each in findings),
            sum(each.first for each in findings),
            sum(each.tie for each in findings),
            sum(each.first or each.tie for each in findings),
            sum(each.in_three for each in findings),
        ]
        shares = " | ".join(f"{100 * part / max(count, 1):.1f} %" for part in parts)
        print(f"| {name} | {count} | {shares} |")


if __name__ == "__main__":
    main()
