"""Count explanations of random wrong numbers. No fault explains them, so each explanation is false.

    python -m benchmarks.false_explanations [--answers 400] [--seed 0]

Each answer is the right answer to a random case, with some numbers replaced by random ones of about their size. The
answer is returned whole, or reduced to the gradients of the weights, or to the wrong tensors. An answer is explained
falsely if any fault is named, first or among others.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy import ndarray

from benchmarks.diagnosis import Tensors, no_weights, random_problem, rounded_anew
from harness.case import Sizes
from harness.diagnosis import UNEXPLAINED, Diagnosis, Predictions, diagnose
from harness.precision.rounding_noise import rounding_noise
from harness.problem import Problem, build
from harness.problem.reference import solve
from harness.tensors import GATES, kind_of

SPOILT = ("one number", "a row", "one gate's block", "one tensor", "a small tensor", "the gradients", "everything")
RETURNED = ("everything", "the weights' gradients", "what is wrong")
AGAINST_LUCK = 1e3
"""Minimum error of a random number, in bounds: a number that is right by luck does not count."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    asked, false = Counter[str](), Counter[str]()
    for number in range(chosen.seed, chosen.seed + chosen.answers):
        spoilt, returned, found = falsely_explained(number)
        asked[spoilt] += 1
        false[spoilt] += bool(found)
        for each in found[:1]:
            print(f"    answer {number}, {spoilt}, of {returned} returned: {each}")
    print("\n| random numbers for | answers | explained |\n| --- | --- | --- |")
    for spoilt in SPOILT:
        print(f"| {spoilt} | {asked[spoilt]} | {false[spoilt]} |")
    print(f"| **all** | {asked.total()} | {false.total()} |")


def falsely_explained(number: int) -> tuple[str, str, list[Diagnosis]]:
    """Return the spoilt part and the returned part of the answer with this number, and its explanations."""
    draw = random.Random(number)
    spoilt, returned = SPOILT[number % len(SPOILT)], draw.choice(RETURNED)
    problem = random_problem(draw)
    if draw.random() < 0.5:  # tensors of few numbers
        sizes = Sizes(draw.randint(1, 2), draw.randint(1, 4), 1, draw.randint(1, 2), problem.case.sizes.output)
        problem = build(replace(problem.case, sizes=sizes), no_weights)
    with np.errstate(all="ignore"):
        predictions = Predictions(problem, rounding_noise(problem))
        right = rounded_anew(solve(problem), problem)
        wrong = _spoilt(right, spoilt, problem, predictions, np.random.default_rng(number), draw)
        changed = [name for name in right if not np.array_equal(wrong[name], right[name])]
        names = set(right)
        if returned == "what is wrong":
            names = set(changed)
        elif returned == "the weights' gradients":
            names = {*changed, *problem.weights}
        found = diagnose({name: array for name, array in wrong.items() if name in names}, predictions)
    return spoilt, returned, [each for each in found if each.fault != UNEXPLAINED]


def _spoilt(
    right: Tensors,
    spoilt: str,
    problem: Problem,
    predictions: Predictions,
    noise: np.random.Generator,
    draw: random.Random,
) -> Tensors:
    gradients = [name for name in right if name not in ("loss", "outputs")]
    small = sorted(right, key=lambda name: right[name].size)
    gated = [name for name in gradients if kind_of(name) in ("W_xh", "W_hh", "b_h")]
    chosen = {
        "everything": list(right),
        "the gradients": gradients,
        "a small tensor": [draw.choice(small[:3])],
        "one gate's block": [draw.choice(gated)],
    }.get(spoilt, [draw.choice(list(right))])
    wrong = dict(right)
    for name in chosen:
        where = _where(right[name], spoilt, GATES[problem.structure.cell], draw)
        wrong[name] = _random_there(right[name], where, predictions.bounds[name], noise)
    return wrong


def _where(array: ndarray, spoilt: str, gates: int, draw: random.Random) -> ndarray:
    """Return the numbers of a tensor to replace, as bool."""
    where = np.ones(array.shape, bool)
    if spoilt == "one number":
        where[...] = False
        where.flat[draw.randrange(where.size)] = True
    elif spoilt == "a row" and array.ndim > 1:
        where[...] = False
        where[draw.randrange(len(where))] = True
    elif spoilt == "one gate's block":
        where[...] = False
        width = array.shape[-1] // gates
        first = width * draw.randrange(gates)
        where[..., first : first + width] = True
    return where


def _random_there(array: ndarray, where: ndarray, bound: float, noise: np.random.Generator) -> ndarray:
    """Replace some numbers of a tensor by random ones of its size, each far from the right one."""
    size = float(np.abs(array).max()) or 1.0
    wrong = np.array(array, np.float64)
    while True:
        drawn = size * noise.normal(size=array.shape)
        far = np.abs(drawn - array) > AGAINST_LUCK * bound
        wrong = np.where(where & far, drawn, wrong)
        where = where & ~far
        if not where.any() or not np.isfinite(size) or AGAINST_LUCK * bound > size:
            return wrong.astype(array.dtype)


if __name__ == "__main__":
    main()
