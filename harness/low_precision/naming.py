"""The fault of gradients in low precision: the broken rule whose prediction is nearest, in units of rounding noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy import ndarray

from harness.derive.recording import Recording
from harness.diagnosis import Diagnosis
from harness.diagnosis.recurrent.naming import Names
from harness.diagnosis.recurrent.predicting import predicted
from harness.diagnosis.recurrent.rules import rules
from harness.low_precision.judging import DRAWS, MOST_OF_RMS
from harness.low_precision.rounding import moved
from harness.precision.formats import Rounds
from harness.problem.recurrent import RecurrenceProblem

PROBLEMS = 3
"""Number of problems that a fault must fit."""

MOST_SHOWN = 3
"""Maximum of faults that fit alike and are shown."""


def named(
    answer: Callable[[RecurrenceProblem], Mapping[str, ndarray]], problems: Sequence[RecurrenceProblem], rounds: Rounds
) -> list[Diagnosis]:
    """Return the faults whose predictions are within rounding noise of every returned gradient, the nearest first.

    Args:
        answer: a function from a problem to tensors by name.
        problems: problems of the same shapes, in float64, with numbers that the format of stored arrays has.
        rounds: where the implementation rounds.
    """
    far: dict[str, list[float]] = {}
    faults: dict[str, str] = {}
    tensors: dict[str, float] = {}
    for seed, problem in enumerate(problems[:PROBLEMS]):
        sequences = problem.sequences
        recording = Recording(sequences)
        there = rules(recording, sequences, Names(recording, problem.recurrence.file))
        given = predicted(recording, sequences, [[rule] for rule in there])  # (R, …) by name
        noise = moved(sequences, rounds, DRAWS, seed)
        answers = {name: np.asarray(each, np.float64) for name, each in answer(problem).items() if name in given}
        distance, unbroken = np.zeros(len(there)), 0.0
        for name, array in answers.items():
            if array.shape != noise.right[name].shape:
                continue
            scale = max(_rms(each[name] - noise.right[name]) for each in noise.draws) or np.finfo(np.float64).tiny
            size = _rms(noise.right[name]) or 1.0
            grown = np.maximum(1, _rms_of_rows(given[name]) / size)  # (R,): a larger gradient has larger roundings
            distance = np.maximum(distance, _rms_of_rows(given[name] - array) / (grown * scale))
            tensors[name] = max(tensors.get(name, 0.0), _rms(array - noise.right[name]) / scale)
            unbroken = max(unbroken, tensors[name])
        for rule, d in zip(there, distance, strict=True):
            faults[rule.text] = rule.fault
            far.setdefault(rule.text, []).append(float(d) if d < unbroken / 2 else np.inf)
    fitting = sorted((max(each), text) for text, each in far.items() if max(each) <= MOST_OF_RMS)
    wrong = {name: each for name, each in tensors.items() if each > MOST_OF_RMS}
    return [
        Diagnosis(faults[text], f"{text} ({d:.2g} times the rounding noise away, on {PROBLEMS} problems)", wrong)
        for d, text in fitting[:MOST_SHOWN]
        if d <= 2 * fitting[0][0]
    ]


def _rms_of_rows(rows: ndarray) -> ndarray:
    """Return the root mean square of each row of (R, …)."""
    return np.asarray(np.sqrt(np.square(rows).reshape(len(rows), -1).mean(1)))


def _rms(array: ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(array))))
