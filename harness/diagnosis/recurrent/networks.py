"""The explanation of wrong numbers of a network of a recurrence: the first ones that are wrong, and no rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.explanation import UNEXPLAINED, Diagnosis
from harness.diagnosis.recurrent.explaining import Explainer
from harness.problem import Problem
from harness.problem.recurrent import RecurrenceProblem
from harness.problem.reference import solve


class NetworkExplainer(Explainer):
    """Explains answers to the problem of a network, as far as that needs no rule of its reverse pass.

    Args:
        problem: the problem.
        noise: the change by rounding alone of each tensor, absolute.
    """

    def __init__(self, problem: Problem, noise: Mapping[str, float]) -> None:
        self.problem, self._noise = problem, noise  # type: ignore[assignment] # the rules of a step need one alone
        with np.errstate(all="ignore"):  # an overflow is judged in the comparison
            self.right = solve(problem.as_dtype(np.float64))

    @override
    def _backward(self, actual: Mapping[str, ndarray], off: Sequence[str]) -> list[Diagnosis]:
        residuals = {name: self._residual(name, self.right[name], actual[name]) for name in off}
        start = f"first wrong gradients: {', '.join(off)}"
        if "inputs" in off:
            wrong = np.abs(actual["inputs"] - self.right["inputs"]) > self._bound("inputs", actual["inputs"])
            b, t = (int(each[-1]) for each in np.nonzero(wrong.any(-1)))
            start += f"; of the inputs at step {t} of sequence {b}, both counted from 0"
        text = f"unexplained: no rule of a network is broken on trial; {start}"
        return [Diagnosis(UNEXPLAINED, text, residuals, start)]


def explainer_of(problem: Problem, noise: Mapping[str, float]) -> Explainer:
    """Return what explains the answers to the problem of a recurrence, alone or in a network."""
    return Explainer(problem, noise) if isinstance(problem, RecurrenceProblem) else NetworkExplainer(problem, noise)
