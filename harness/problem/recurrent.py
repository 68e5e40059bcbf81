"""The problem of a recurrence: arrays for its step, drawn at random, and a random upstream gradient of every output.

Without a network around the recurrence, the loss is ⟨upstream, outputs⟩ + Σ ⟨upstream_state, last states⟩, so that its
gradient is a vector–Jacobian product in which no output and no last state is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.case.fields import ValidCase
from harness.problem.arrays import generator, make
from harness.problem.live import is_live, joined, numbers_of
from harness.problem.problem import Problem
from harness.recurrences import Recurrence, recurrence_named
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
    def by_name(self) -> dict[str, Mapping[str, ndarray]]:
        return {**super().by_name, "upstream_state": self.upstream_state}

    @property
    @override
    def spelled(self) -> dict[str, ndarray]:
        found = super().spelled
        return {**found, "problem.upstream": found.pop("problem.targets")}

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


def build_recurrence(case: ValidCase, recurrence: Recurrence | None = None) -> Problem:
    """Draw the arrays of a recurrence's case, alone or in a network. They are read-only; ``copy`` has writable ones.

    Args:
        case: The case of the recurrence.
        recurrence: The recurrence; if None, the library's of that name, or the declaration alone.
    """
    from harness.case.recurrent import Draw

    assert case.recurrence is not None
    recurrence = recurrence or known_as(case)
    draw, structure = Draw(**case.recurrence["draw"]), case.structure
    made, given = _Drawn(recurrence, draw, case.dtype), {**structure.given, **structure.held}
    names = recurrence.in_network if case.is_network else {name: f"inputs.{name}" for name in recurrence.in_network}
    inputs = {name: made.input(own, name, given[own]) for name, own in names.items() if own in given}
    states = {name: made.state(name, shape) for name, shape in structure.initial_state.items()}
    weights = {name: made.weight(name, shape) for name, shape in structure.weights.items()}
    own: dict[str, Any] = {"case": case, "weights": weights, "recurrence": recurrence}
    problem: Problem
    if case.is_network:
        own["inputs"] = inputs if len(names) > 1 else next(iter(inputs.values()))
        problem = Problem(**own, initial_state=states, targets=_targets(case, draw.seed))
    else:
        no_outputs, no_states = draw.upstream == "last states alone", draw.upstream == "outputs alone"
        last = {name.removeprefix("last."): shape for name, shape in structure.last_state.items()}
        problem = RecurrenceProblem(
            **own,
            initial_state={name.removesuffix("0"): state for name, state in states.items()},
            inputs=inputs,
            targets=_normal(draw.seed, "upstream", structure.outputs, zero=no_outputs).astype(case.dtype),
            upstream_state={
                name: _normal(draw.seed, f"upstream.{name}", shape, zero=no_states).astype(case.dtype)
                for name, shape in last.items()
            },
        )
    for array in problem.spelled.values():
        array.setflags(write=False)
    return problem


def _targets(case: ValidCase, seed: int) -> ndarray:
    """Return the targets of a network, its labels (B, T), or its upstream gradient; random unless the case has some."""
    structure, kind = case.structure, case.loss.kind
    is_labels = kind == "softmax_cross_entropy"
    name, shape = "upstream" if kind == "dot" else "targets", structure.outputs[:2] if is_labels else structure.outputs
    numbers: dict[str, Any] = {"uniform": (0, structure.outputs[-1])} if is_labels else {"normal": 1.0}
    spec = case.targets or {**numbers, "seed": seed}
    return make(spec, name, shape, np.int64 if is_labels else case.dtype, Path(case.file).parent)


def known_as(case: ValidCase, known: Mapping[str, Recurrence] | None = None) -> Recurrence:
    """Return the recurrence of a case: a known one with its name and its step's source, or its declaration alone.

    Args:
        case: The case of the recurrence.
        known: Recurrences besides those of the library and of this process.
    """
    from harness.case.recurrent import digest

    assert case.recurrence is not None
    found = (known or {}).get(case.cell) or recurrence_named(case.cell)
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

    problem = build_recurrence(case_of(recurrence, draw, sizes), recurrence)
    assert isinstance(problem, RecurrenceProblem)
    return problem


@dataclass(frozen=True)
class _Drawn:
    """The arrays of a recurrence, each drawn under the name of its gradient.

    Attributes:
        recurrence: The recurrence.
        draw: The draw of its numbers.
        dtype: Their dtype.
    """

    recurrence: Recurrence
    draw: Draw
    dtype: str

    def weight(self, name: str, shape: Shape) -> ndarray:
        """Draw a weight: matrices by their number of rows, so that a step's numbers stay near 1."""
        drawn = _normal(self.draw.seed, name, shape)
        if len(shape) >= 2:
            drawn = drawn / np.sqrt(shape[0])
        return self._positive(name.rpartition(".")[2], drawn)

    def state(self, name: str, shape: Shape) -> ndarray:
        """Draw an initial state."""
        drawn = _normal(self.draw.seed, name, shape)
        return self._positive(name.rpartition(".")[2].removesuffix("0"), drawn, zero=self.draw.state == "zeros")

    def input(self, name: str, declared: str, shape: Shape) -> ndarray:
        """Draw an input or a context; a mask of zeros and ones alike."""
        if declared in self.recurrence.held:
            return self._held(name, declared, shape)
        return self._positive(declared, self.draw.scale * _normal(self.draw.seed, name, shape))

    def _positive(self, declared: str, drawn: ndarray, *, zero: bool = False) -> ndarray:
        if declared in self.recurrence.positive:
            drawn = 1 + drawn**2
        elif zero:
            drawn = np.zeros_like(drawn)
        return drawn.astype(self.dtype)

    def _held(self, name: str, declared: str, shape: Shape) -> ndarray:
        """Draw a mask. Of resets there are a few: sequences that are packed are long, too."""
        random = generator(self.draw.seed, name)
        if declared != self.recurrence.resets:
            return random.integers(0, 2, size=shape).astype(self.dtype)
        B, T = shape
        resets = np.zeros((B, T), self.dtype)
        for b in range(B if T > 1 else 0):
            count, also_first = (1, 0, 2)[b % 3], b % 3 == 2
            resets[b, random.choice(np.arange(1, T), min(count, T - 1), replace=False)] = 1
            resets[b, 0] = also_first
        return resets


def _normal(seed: int, name: str, shape: Sequence[int], *, zero: bool = False) -> ndarray:
    return np.zeros(tuple(shape)) if zero else np.asarray(generator(seed, name).normal(size=tuple(shape)))
