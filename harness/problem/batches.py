"""The batches of a training: the sequences that each step sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from numpy import ndarray

from harness.problem.problem import Problem


class Batches:
    """The sequences of a problem that each step of its training sees.

    Args:
        problem: The problem of a case with training, in the split layout.
    """

    def __init__(self, problem: Problem) -> None:
        case = problem.case
        assert case.training != "none"
        self.problem = problem
        self.size = case.training.get("batch", case.sizes.batch)
        self.steps_in_a_pass = case.sizes.batch // self.size
        sizes = replace(case.sizes, batch=self.size)
        self.case = replace(case, sizes=sizes, training="none", published=None, half_units=None)

    def of_step(self, s: int, weights: Mapping[str, ndarray], state: Mapping[str, ndarray] | None = None) -> Problem:
        """Return the problem of step s with these weights; without a state, with its sequences' own initial state."""
        first = s % self.steps_in_a_pass * self.size
        rows = slice(first, first + self.size)
        lengths = None if self.case.lengths is None else self.case.lengths[rows]
        own = {name: each[rows] for name, each in self.problem.initial_state.items()}
        return replace(
            self.problem,
            case=replace(self.case, lengths=lengths),
            weights=weights,
            initial_state=own if state is None else state,
            inputs=self.problem.inputs[rows],
            targets=self.problem.targets[rows],
        )

    def ends_a_pass(self, s: int) -> bool:
        """Return whether step s ends a pass: every sequence has then been seen equally often."""
        return (s + 1) % self.steps_in_a_pass == 0
