"""What each case file is for: ``make library`` writes docs/cases.md.

Every fault of the catalogue (``harness.diagnosis``) and every spelling (``benchmarks.spellings``) is committed on every
case, and the cases are asked which of them they catch. Cases are ordered from simple to complex: by how many fields of
the case differ from what they are when nothing is said of them (a gated cell counts for three), then by multiplications.
A file earns its place by a fault that no simpler case of another file catches, or by what no other file reaches: the
longest sequence, the widest state, the largest gradient. It may also document a disagreement, hold printed digits, or hold
weights as a framework makes them; the table says which.

A spelling is caught if the comparison, with the tolerances of the case, comes out as anything but a match. A fault of the
catalogue is caught if it changes a result by more than the tolerance, as ``harness sensitivity`` has it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.spellings import spellings
from harness.case import Case, Loss, Sizes, load
from harness.case.fields import Fields
from harness.conditioning import rounding_noise
from harness.diagnosis import Predictions
from harness.diagnosis.sight import catalogue, sight
from harness.implementations import implementations
from harness.problem import Problem, build
from harness.result import run
from harness.session import compare_for
from harness.tolerance import largest_magnitude
from harness.worker import Workers

TABLE = Path("docs/cases.md")

MOST_WORK = 3e6
"""Multiplications of a case on which the faults of the catalogue are committed, a hundred of them, each several ways."""

DATA = ("about", "sizes", "dtype", "weights", "inputs", "initial_state", "targets", "upstream", "because")
"""Fields that are numbers or words, and make a case no more complex."""

SHOWN = 5


@dataclass(frozen=True)
class Findings:
    """What one case catches and reaches.

    Attributes:
        case: its name.
        order: how complex it is: features, then multiplications.
        caught: the faults, those of the catalogue and the spellings.
        asked: whether the catalogue was asked, too.
        reaches: by measure, how far the case goes.
    """

    case: str
    order: tuple[int, float]
    caught: frozenset[str]
    asked: bool
    reaches: Mapping[str, float]

    @property
    def file(self) -> str:
        """The name of its file."""
        return self.case.partition("[")[0]


def features(case: Case) -> int:
    """How many fields of a case say something that goes without saying elsewhere; a gated cell counts for three."""
    plain: dict[str, Any] = {field.name: field.default for field in fields(Fields)}
    count = sum(getattr(case, name) != default for name, default in plain.items() if name not in (*DATA, "loss", "reset"))
    count += sum(getattr(case.loss, field.name) != field.default for field in fields(Loss))
    return count + (2 if case.cell != "rnn" else 0) + (isinstance(case.weights, dict) and "from" in case.weights)


def findings(problem: Problem) -> Findings:
    """Commit everything on a problem."""
    case = problem.case
    with np.errstate(all="ignore"):
        expected, noise = run(implementations()["numpy-split"], problem), rounding_noise(problem)
        caught = {
            name
            for name, spelling in spellings().items()
            if not spelling.obstacle(problem)
            and not compare_for(problem, spelling(problem), expected, noise, complete=True).matches
        }
        asked = problem.multiplications <= MOST_WORK
        if asked:
            caught |= set(sight(Predictions(problem, noise)).seen)
    eps = float(np.finfo(case.dtype).eps)
    sizes = {name: largest_magnitude(each) for name, each in expected.gradients.items()}
    small = [size for size in sizes.values() if size > 0]
    amplified = [noise[name] / (eps * size) for name, size in sizes.items() if size > float(np.finfo(case.dtype).tiny)]
    cell = "steps" if case.cell == "rnn" else "steps of a gated cell"
    reaches = {
        f"most {cell}": case.sizes.time,
        "most units": case.sizes.hidden,
        "most classes": float(case.sizes.output or 0) if case.loss.kind == "softmax_cross_entropy" else 0.0,
        "largest finite gradient": max(sizes.values()),
        "smallest gradient": 1 / max(min(small, default=np.inf), 1e-307),
        "most rounding noise": max(amplified, default=0.0),
    }
    return Findings(case.name, (features(case), problem.multiplications), frozenset(caught), asked, reaches)


def firsts(found: Iterable[Findings]) -> dict[str, str]:
    """For each fault the file whose case is the simplest that catches it."""
    by_fault: dict[str, str] = {}
    for each in sorted(found, key=lambda each: (each.order, each.case)):
        for fault in each.caught:
            by_fault.setdefault(fault, each.file)
    return by_fault


def furthest(found: Sequence[Findings]) -> dict[str, list[str]]:
    """For each file the measures in which no other file goes as far."""
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
            by_file.setdefault(there[0], []).append(f"{measure} ({_written(measure, largest)})")
    return by_file


def _written(measure: str, value: float) -> str:
    if measure == "smallest gradient":
        return f"{1 / value:.0e}"
    return f"{value:,.0f} eps" if measure == "most rounding noise" else f"{value:,.0f}" if value < 1e6 else f"{value:.0e}"
