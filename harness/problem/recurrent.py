"""The problem of a recurrence: arrays for its step, drawn at random, and a random upstream gradient of every output.

The loss is ⟨upstream, outputs⟩ + Σ ⟨upstream_state, last states⟩, so that its gradient is a vector–Jacobian product in
which no output and no last state is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.case.fields import ValidCase
from harness.problem.arrays import generator
from harness.problem.live import is_live, joined, numbers_of
from harness.problem.problem import Problem
from harness.recurrences import Recurrence, recurrences
from harness.tensors import Shape

if TYPE_CHECKING:
    from harness.case.recurrent import Draw
    from harness.derive.recording import Sequences


@dataclass(frozen=True, eq=False, repr=False)
class RecurrenceProblem(Problem):
    """The input of an implementation of a recurrence. B is the batch, T the time.

    Attributes:
        weights: The weights by name, as the recurrence declares them.
        initial_state: The initial states by name, (B, …); one that is absent is zeros, and has no gradient.
        inputs: The inputs by name, (B, T, …), or (B, …) for the context.
        targets: The gradient of the loss by the outputs, (B, T, …); the same array as ``upstream``.
        upstream_state: The gradient of the loss by the last states by name, (B, …).
        recurrence: The recurrence.
    """

    inputs: Mapping[str, ndarray]  # type: ignore[assignment] # a network has one array
    upstream_state: Mapping[str, ndarray] = field(default_factory=dict)
    recurrence: Recurrence = field(kw_only=True)

    @property
    def sequences(self) -> Sequences:
        """The arrays, for the routes of ``harness.derive``."""
        from harness.derive.recording import Sequences

        absent = {name: np.zeros_like(g) for name, g in self.upstream_state.items() if name not in self.initial_state}
        return Sequences(
            self.recurrence,
            self.weights,
            self.inputs,
            {**self.initial_state, **absent},
            self.targets,
            self.upstream_state,
            frozenset(absent),
        )

    @property
    @override
    def calculation(self) -> Sequences:
        return self.sequences

    @property
    @override
    def arrays(self) -> dict[str, ndarray]:
        """Every array that goes into the step, under the name of its gradient, or the name that it would have."""
        states = {f"{name}0": each for name, each in self.initial_state.items()}
        return {**self.weights, **states, **{f"inputs.{name}": each for name, each in self.inputs.items()}}

    @property
    @override
    def spelled(self) -> dict[str, ndarray]:
        held = {"weights": self.weights, "inputs": self.inputs, "initial_state": self.initial_state}
        held["upstream_state"] = self.upstream_state
        by_name = {f"problem.{kind}[{name!r}]": each for kind, arrays in held.items() for name, each in arrays.items()}
        return {**by_name, "problem.upstream": self.targets}

    @override
    def loss(self, outputs: ndarray, last: Mapping[str, ndarray] | None = None) -> tuple[ndarray, ndarray]:
        """Return the loss of outputs (B, T, …) and last states (B, …), of shape (), and its gradient by the outputs.

        Args:
            outputs: The outputs.
            last: The last states by name; a missing state counts as zero.
        """
        if is_live(outputs):
            states = {name: numbers_of(state) for name, state in (last or {}).items()}
            return joined(outputs, *self.loss(numbers_of(outputs), states))
        total = (numbers_of(outputs) * self.targets).sum()
        for name, state in (last or {}).items():
            total = total + (numbers_of(state) * self.upstream_state[name]).sum()
        return np.asarray(total), self.targets

    @override
    def is_last_step(self, shape: Shape) -> bool:
        """Return False: the loss covers all steps, and last states besides."""
        return False

    @override
    def in_layout(self, layout: str) -> Self:
        """Return the problem; a recurrence has one layout, its own."""
        if layout != "split":
            raise ValueError(f"the recurrence {self.recurrence.name} has no layout {layout!r}; leave `layout` out")
        return self

    @override
    def mapped(self, change: Callable[[ndarray], ndarray]) -> Self:
        def each(arrays: Mapping[str, ndarray]) -> dict[str, ndarray]:
            return {name: change(array) for name, array in arrays.items()}

        return replace(
            self,
            weights=each(self.weights),
            initial_state=each(self.initial_state),
            inputs=each(self.inputs),
            targets=change(self.targets),
            upstream_state=each(self.upstream_state),
        )


def build_recurrence(case: ValidCase, recurrence: Recurrence | None = None) -> RecurrenceProblem:
    """Draw the arrays of a recurrence's case. They are read-only; ``copy`` has writable ones.

    Args:
        case: The case of the recurrence.
        recurrence: The recurrence; if None, the library's of that name, or the declaration alone.
    """
    from harness.case.recurrent import Draw, inputs_of

    assert case.recurrence is not None
    recurrence = recurrence or known_as(case)
    shapes, draw = case.recurrence["shapes"], Draw(**case.recurrence["draw"])
    given, seed = {**shapes["given"], **shapes["held"]}, draw.seed
    no_outputs, no_states = draw.upstream == "last states alone", draw.upstream == "outputs alone"
    inputs = {
        name: _drawn(case, recurrence, f"inputs.{name}", given[f"inputs.{name}"], draw)
        for name in inputs_of(recurrence)
        if name not in draw.absent
    }
    problem = RecurrenceProblem(
        case=case,
        weights={name: _drawn(case, recurrence, name, shape, draw) for name, shape in shapes["weights"].items()},
        initial_state={
            name: _drawn(case, recurrence, f"{name}0", given[f"{name}0"], draw)
            for name in recurrence.state
            if name not in draw.absent
        },
        inputs=inputs,
        targets=_normal(seed, "upstream", shapes["forward"]["outputs"], zero=no_outputs).astype(case.dtype),
        upstream_state={
            name: _normal(seed, f"upstream.{name}", shapes["last_state"][f"last.{name}"], zero=no_states).astype(
                case.dtype
            )
            for name in recurrence.state
        },
        recurrence=recurrence,
    )
    arrays = (problem.weights, problem.initial_state, inputs, problem.upstream_state)
    for array in (problem.targets, *(array for each in arrays for array in each.values())):
        array.setflags(write=False)
    return problem


def known_as(case: ValidCase, known: Mapping[str, Recurrence] | None = None) -> Recurrence:
    """Return the recurrence of a case: a known one with its name and its step's source, or its declaration alone.

    Args:
        case: The case of the recurrence.
        known: Recurrences besides the library's.
    """
    from harness.case.recurrent import digest

    assert case.recurrence is not None
    found = {**recurrences(), **(known or {})}.get(case.cell)
    if found is not None and digest(found) == case.recurrence["source"]:
        return found
    return Recurrence.from_declared(case.recurrence["declared"])


def problem_of(recurrence: Recurrence, draw: Draw, sizes: Mapping[str, int]) -> RecurrenceProblem:
    """Return a problem of a recurrence with random numbers.

    Raises:
        DeclarationError: If a size is not the recurrence's.
        StepError: If the step does something that a step may not do.
    """
    from harness.case.recurrent import case_of

    return build_recurrence(case_of(recurrence, draw, sizes), recurrence)


def _drawn(case: ValidCase, recurrence: Recurrence, name: str, shape: Sequence[int], draw: Draw) -> ndarray:
    """Draw an array: matrices by their number of rows, so that a step's numbers stay near 1."""
    is_weight, is_input = name in recurrence.weights, name.startswith("inputs.")
    if is_input and name.removeprefix("inputs.") in recurrence.held:
        return _held(case, recurrence, name, shape)
    drawn = _normal(draw.seed, name, shape)
    if is_weight and len(shape) >= 2:
        drawn = drawn / np.sqrt(shape[0])
    if is_input:
        drawn = draw.scale * drawn
    declared = name if is_weight else name.removeprefix("inputs.") if is_input else name.removesuffix("0")
    if declared in recurrence.positive:
        drawn = 1 + drawn**2
    elif draw.state == "zeros" and not is_weight and not is_input:
        drawn = np.zeros_like(drawn)
    return drawn.astype(case.dtype)


def _held(case: ValidCase, recurrence: Recurrence, name: str, shape: Sequence[int]) -> ndarray:
    """Draw a mask: zeros and ones alike. Of resets a few: sequences that are packed are long, too."""
    assert case.recurrence is not None
    random = generator(case.recurrence["draw"]["seed"], name)
    if name != f"inputs.{recurrence.resets}":
        return random.integers(0, 2, size=tuple(shape)).astype(case.dtype)
    B, T = shape
    resets = np.zeros((B, T), case.dtype)
    for b in range(B if T > 1 else 0):
        count, also_first = (1, 0, 2)[b % 3], b % 3 == 2
        resets[b, random.choice(np.arange(1, T), min(count, T - 1), replace=False)] = 1
        resets[b, 0] = also_first
    return resets


def _normal(seed: int, name: str, shape: Sequence[int], *, zero: bool = False) -> ndarray:
    return np.zeros(tuple(shape)) if zero else np.asarray(generator(seed, name).normal(size=tuple(shape)))


def sequences_of(problem: Problem) -> Sequences:
    """Return the arrays of a recurrence's problem, for the routes of ``harness.derive``."""
    assert isinstance(problem, RecurrenceProblem)
    return problem.sequences
