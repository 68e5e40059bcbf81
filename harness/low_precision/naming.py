"""The fault of gradients in low precision: the broken rule whose prediction is nearest, in units of rounding noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from harness.diagnosis import Diagnosis
from harness.diagnosis.recurrent.predicting import predicted
from harness.diagnosis.recurrent.rules import Rule, rules
from harness.diagnosis.recurrent.tracks import taped
from harness.low_precision.judging import DRAWS, MOST_OF_RMS
from harness.low_precision.rounding import Simulation

PROBLEMS = 3
"""Number of problems that a fault must fit."""

MOST_SHOWN = 3
"""Maximum of faults that fit alike and are shown."""


class Distances(NamedTuple):
    """The distances of an answer to one problem from predictions, in units of each tensor's rounding noise.

    Attributes:
        rules: the largest of any tensor, for each rule that is broken, (R,).
        right: of each tensor from the right one, by name.
        residuals: the largest error of each tensor from each prediction, relative to its largest element, (R,) by name;
            absolute where that is zero.
    """

    rules: ndarray
    right: dict[str, float]
    residuals: dict[str, ndarray]


class Nearby:
    """The predictions of all faults of a problem, and the distances of answers from them.

    Attributes:
        rules: the rules of the derived pass, each of which is broken in one prediction.
        predictions: the gradients of each, (R, …) by name.
    """

    def __init__(self, simulation: Simulation) -> None:
        sequences = simulation.problem
        on_tape = taped(sequences)
        self.rules = rules(on_tape)
        self.predictions = predicted(on_tape, [[rule] for rule in self.rules])
        self._simulation = simulation

    def distances(self, answer: Mapping[str, ndarray]) -> Distances:
        """Return the distances of an answer; tensors of another shape do not count."""
        found = Distances(np.zeros(len(self.rules)), {}, {})
        for name, right in self._simulation.right.items():
            if name not in answer or name not in self.predictions or np.shape(answer[name]) != right.shape:
                continue
            array, given = np.asarray(answer[name], np.float64), self.predictions[name]
            noise = [_rms(each[name] - right) for each in self._simulation.draws(DRAWS)]
            scale = max(noise) or np.finfo(np.float64).tiny
            grown = np.maximum(1, _rms_of_rows(given) / (_rms(right) or 1.0))  # (R,): larger numbers, larger roundings
            np.maximum(found.rules, _rms_of_rows(given - array) / (grown * scale), out=found.rules)
            found.right[name] = _rms(array - right) / scale
            sizes = _largest_of_rows(given)  # (R,)
            found.residuals[name] = _largest_of_rows(given - array) / np.where(sizes > 0, sizes, 1.0)
        return found


def named(answers: Sequence[Mapping[str, ndarray]], simulations: Sequence[Simulation]) -> list[Diagnosis]:
    """Return the faults whose predictions are within rounding noise of every returned gradient, the nearest first.

    Args:
        answers: tensors by name, for each of some problems of the same shapes.
        simulations: the problems with their simulated roundings.
    """
    found = []
    for answer, simulation in zip(answers[:PROBLEMS], simulations, strict=False):
        nearby = Nearby(simulation)  # one at a time, for they are large
        found.append((nearby.rules, nearby.distances(answer)))
    return nearest_faults(found)


def nearest_faults(found: Sequence[tuple[Sequence[Rule], Distances]]) -> list[Diagnosis]:
    """Return the faults that fit an answer on each problem, the nearest first.

    Args:
        found: for each problem the rules and the answer's distances.
    """
    far: dict[str, list[float]] = {}
    faults: dict[str, str] = {}
    residuals: dict[str, dict[str, float]] = {}
    right: dict[str, float] = {}
    for broken, distances in found:
        right |= {name: max(each, right.get(name, 0.0)) for name, each in distances.right.items()}
        least = max(distances.right.values(), default=0.0) / 2
        for r, (rule, d) in enumerate(zip(broken, distances.rules, strict=True)):
            faults[rule.text] = rule.fault
            far.setdefault(rule.text, []).append(float(d) if d < least else np.inf)
            largest = residuals.setdefault(rule.text, dict.fromkeys(distances.residuals, 0.0))
            for name, each in distances.residuals.items():
                largest[name] = max(largest.get(name, 0.0), float(each[r]))
    fitting = sorted((max(each), text) for text, each in far.items() if max(each) <= MOST_OF_RMS)
    wrong = [name for name, each in right.items() if each > MOST_OF_RMS]
    return [
        Diagnosis(
            faults[text],
            f"{text} ({d:.2g} times the rounding noise away, on {len(found)} problems)",
            {name: residuals[text][name] for name in wrong},
        )
        for d, text in fitting[:MOST_SHOWN]
        if d <= 2 * fitting[0][0]
    ]


def _rms_of_rows(rows: ndarray) -> ndarray:
    """Return the root mean square of each row of (R, …)."""
    return np.asarray(np.sqrt(np.square(rows).reshape(len(rows), -1).mean(1)))


def _largest_of_rows(rows: ndarray) -> ndarray:
    """Return the largest element of each row of (R, …), without its sign."""
    return np.abs(rows).reshape(len(rows), -1).max(1, initial=0.0)


def _rms(array: ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(array))))
