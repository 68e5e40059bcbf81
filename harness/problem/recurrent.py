"""The problem of a recurrence: arrays for its step, drawn at random, and a random upstream gradient of every output.

The loss is ⟨upstream, outputs⟩ + Σ ⟨upstream_state, last states⟩, so that its gradient is a vector–Jacobian product in
which no output and no last state is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.typing import DTypeLike
from typing_extensions import override

from harness.case.fields import Case, Loss, Sizes
from harness.derive.recording import Recording, Sequences
from harness.problem.arrays import generator
from harness.problem.problem import Problem
from harness.recurrences import Recurrence


@dataclass(frozen=True, eq=False)
class RecurrenceProblem(Problem):
    """What an implementation of a recurrence is given. B is the batch, T the time.

    Attributes:
        weights: by name, as the recurrence declares them.
        initial_state: (B, …) by the name of the state.
        inputs: (B, T, …) by name, and (B, …) for the context.
        targets: the gradient of the loss by the outputs, (B, T, …); the same array as ``upstream``.
        upstream_state: the gradient of the loss by the last states, (B, …) by name.
        recurrence: the recurrence.
    """

    inputs: Mapping[str, ndarray]  # type: ignore[assignment] # of a network it is one array
    upstream_state: Mapping[str, ndarray] = field(default_factory=dict)
    recurrence: Recurrence = field(kw_only=True)

    @property
    def sequences(self) -> Sequences:
        """The arrays, for the routes of ``harness.derive``."""
        return Sequences(
            self.recurrence, self.weights, self.inputs, self.initial_state, self.targets, self.upstream_state
        )

    @override
    def loss(self, outputs: ndarray, last: Mapping[str, ndarray] | None = None) -> tuple[ndarray, ndarray]:
        """Return the loss of outputs (B, T, …) and last states (B, …), of shape (), and its gradient by the outputs.

        Args:
            outputs: the outputs.
            last: the last states by name; those that are left out count as zero.
        """
        total = (np.asarray(outputs) * self.targets).sum()
        for name, state in (last or {}).items():
            total = total + (np.asarray(state) * self.upstream_state[name]).sum()
        return np.asarray(total), self.targets

    @override
    def copy(self) -> RecurrenceProblem:
        """Return the problem with arrays of its own."""
        return self._mapped(np.array)

    @override
    def as_dtype(self, dtype: DTypeLike) -> RecurrenceProblem:
        """Return the problem with every number in another dtype."""
        return self._mapped(lambda array: array.astype(dtype))

    @override
    def in_layout(self, layout: str) -> RecurrenceProblem:
        """Return the problem; a recurrence has one layout, its own."""
        if layout != "split":
            raise ValueError(f"the recurrence {self.recurrence.name} has no layout {layout!r}; leave `layout` out")
        return self

    def _mapped(self, change: Any) -> RecurrenceProblem:
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


def case_of(
    recurrence: Recurrence, sizes: Mapping[str, int], *, B: int, T: int, dtype: str = "float64", seed: int = 0
) -> Case:
    """Return the case of a recurrence with given sizes.

    The step runs once, on zeros, to learn the shape of its output.

    Raises:
        DeclarationError: if a size is not the recurrence's.
        StepError: if the step does what a step may not.
    """
    known = recurrence.sizes(**sizes)
    given = recurrence.shapes(recurrence.state, known, B)
    inputs = {
        **recurrence.shapes(recurrence.inputs, known, B, T),
        **recurrence.shapes(recurrence.context, known, B),
    }
    weights = recurrence.shapes(recurrence.weights, known)
    named = ", ".join(f"{name}={size}" for name, size in {"B": B, "T": T, **known}.items())
    case = Case(
        name=f"{recurrence.name}[dtype={dtype}, {named}, seed={seed}]",
        file=recurrence.file,
        cell=recurrence.name,  # type: ignore[arg-type] # a literal in case files
        sizes=Sizes(B, T, 0, 0),
        dtype=dtype,  # type: ignore[arg-type]
        loss=Loss("dot"),
        recurrence={
            "seed": seed,
            "sizes": known,
            "shapes": {
                "weights": weights,
                "given": {f"{name}0": shape for name, shape in given.items()}
                | {f"inputs.{name}": shape for name, shape in inputs.items()},
                "last_state": {f"last.{name}": shape for name, shape in given.items()},
            },
        },
    )
    assert case.recurrence is not None
    case.recurrence["shapes"]["forward"] = {"outputs": _outputs_of(recurrence, case, B, T)}
    return case


def build_recurrence(case: Case, recurrence: Recurrence) -> RecurrenceProblem:
    """Draw the arrays of a recurrence's case. Nobody can write to them; ``copy`` has such as one can."""
    assert case.recurrence is not None
    shapes, seed = case.recurrence["shapes"], case.recurrence["seed"]
    given = shapes["given"]
    inputs = {
        name: _drawn(case, recurrence, f"inputs.{name}", given[f"inputs.{name}"], seed) for name in _inputs(recurrence)
    }
    problem = RecurrenceProblem(
        case=case,
        weights={name: _drawn(case, recurrence, name, shape, seed) for name, shape in shapes["weights"].items()},
        initial_state={
            name: _drawn(case, recurrence, f"{name}0", given[f"{name}0"], seed) for name in recurrence.state
        },
        inputs=inputs,
        targets=_normal(seed, "upstream", tuple(shapes["forward"]["outputs"])).astype(case.dtype),
        upstream_state={
            name: _normal(seed, f"upstream.{name}", tuple(given[f"{name}0"])).astype(case.dtype)
            for name in recurrence.state
        },
        recurrence=recurrence,
    )
    arrays = (problem.weights, problem.initial_state, inputs, problem.upstream_state)
    for array in (problem.targets, *(array for each in arrays for array in each.values())):
        array.setflags(write=False)
    return problem


def problem_of(
    recurrence: Recurrence, *, seed: int = 0, dtype: str = "float64", B: int = 3, T: int = 7, **sizes: int
) -> RecurrenceProblem:
    """Return a problem of a recurrence with random numbers and a random upstream gradient of everything.

    Args:
        recurrence: the recurrence.
        seed: of the random numbers.
        dtype: of every number.
        B: the batch.
        T: the time.
        sizes: of the declared letters; those that are left out are given sizes that all differ.

    Raises:
        DeclarationError: if a size is not the recurrence's.
        StepError: if the step does what a step may not.
    """
    return build_recurrence(case_of(recurrence, sizes, B=B, T=T, dtype=dtype, seed=seed), recurrence)


def _inputs(recurrence: Recurrence) -> list[str]:
    return [*recurrence.inputs, *recurrence.context]


def _outputs_of(recurrence: Recurrence, case: Case, B: int, T: int) -> tuple[int, ...]:
    """Return the shape of the outputs, found by one step."""
    assert case.recurrence is not None
    shapes = case.recurrence["shapes"]
    one = Sequences(
        recurrence,
        {name: np.ones(shape) for name, shape in shapes["weights"].items()},
        {
            name: np.ones(shape[:1] + (1,) * (name in recurrence.inputs) + shape[1 + (name in recurrence.inputs) :])
            for name, shape in ((name, shapes["given"][f"inputs.{name}"]) for name in _inputs(recurrence))
        },
        {name: np.ones(shapes["given"][f"{name}0"]) for name in recurrence.state},
        np.ones(()),
        {},
    )
    output = Recording(one).outputs[0].shape
    if output[:1] != (B,):
        raise ValueError(f"{recurrence.name}: the output has shape {output}, but should begin with the batch, {B}")
    return (B, T, *output[1:])


def _drawn(case: Case, recurrence: Recurrence, name: str, shape: Any, seed: int) -> ndarray:
    """Draw an array: matrices by their number of rows, so that a step's numbers stay near 1."""
    drawn = _normal(seed, name, tuple(shape))
    if name in recurrence.weights and len(shape) >= 2:
        drawn = drawn / np.sqrt(shape[0])
    bare = name.removeprefix("inputs.") if name.startswith("inputs.") else name.removesuffix("0")
    if name in recurrence.positive or (name not in recurrence.weights and bare in recurrence.positive):
        drawn = 1 + drawn**2
    return drawn.astype(case.dtype)


def _normal(seed: int, name: str, shape: tuple[int, ...]) -> ndarray:
    return np.asarray(generator(seed, name).normal(size=shape))


def sequences_of(problem: Problem) -> Sequences:
    """Return the arrays of a recurrence's problem, for the routes of ``harness.derive``."""
    assert isinstance(problem, RecurrenceProblem)
    return problem.sequences
