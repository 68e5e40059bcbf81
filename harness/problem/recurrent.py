"""The problem of a recurrence: arrays for its step, drawn at random, and a random upstream gradient of every output.

The loss is ⟨upstream, outputs⟩ + Σ ⟨upstream_state, last states⟩, so that its gradient is a vector–Jacobian product in
which no output and no last state is left out.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.typing import DTypeLike
from typing_extensions import override

from harness.case.fields import Case, Loss, Sizes
from harness.derive.recording import Recording, Sequences
from harness.problem.arrays import generator
from harness.problem.problem import Problem
from harness.recurrences import Recurrence, recurrences


@dataclass(frozen=True, eq=False)
class RecurrenceProblem(Problem):
    """The input of an implementation of a recurrence. B is the batch, T the time.

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

    @property
    @override
    def arrays(self) -> dict[str, ndarray]:
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


@dataclass(frozen=True)
class Draw:
    """The numbers of a problem that is made for a recurrence, beside the sizes of its letters.

    Attributes:
        B: the batch.
        T: the time.
        dtype: of every number.
        seed: of the random numbers.
        upstream: which upstream gradients there are: ``all``, ``outputs alone`` or ``last states alone``.
        state: the initial states, ``random`` or ``zeros``; a state that must be positive is random all the same.
        scale: a factor of the inputs, above 1 to saturate gates.
    """

    B: int = 3
    T: int = 7
    dtype: str = "float64"
    seed: int = 0
    upstream: str = "all"
    state: str = "random"
    scale: float = 1.0

    def named(self, sizes: Mapping[str, int]) -> str:
        """Return the name of a problem among those of the recurrence."""
        said = [
            f"dtype={self.dtype}",
            *(f"{name}={size}" for name, size in {"B": self.B, "T": self.T, **sizes}.items()),
        ]
        said += [f"seed={self.seed}", self.upstream] if self.upstream != "all" else [f"seed={self.seed}"]
        said += [f"{self.state} for states"] if self.state != "random" else []
        return ",".join([*said, f"inputs times {self.scale:g}"] if self.scale != 1 else said)


def case_of(recurrence: Recurrence, draw: Draw, sizes: Mapping[str, int]) -> Case:
    """Return the case of a recurrence with given sizes.

    The step runs once, on ones, to learn the shape of its output.

    Raises:
        DeclarationError: if a size is not the recurrence's.
        StepError: if the step does what a step may not.
    """
    B, T = draw.B, draw.T
    known = recurrence.sizes(**sizes)
    given = recurrence.shapes(recurrence.state, known, B)
    inputs = {
        **recurrence.shapes(recurrence.inputs, known, B, T),
        **recurrence.shapes(recurrence.context, known, B),
    }
    weights = recurrence.shapes(recurrence.weights, known)
    case = Case(
        name=f"{recurrence.name}[{draw.named(known)}]",
        file=recurrence.file,
        cell=recurrence.name,  # type: ignore[arg-type] # a literal in case files
        sizes=Sizes(B, T, 0, 0),
        dtype=draw.dtype,  # type: ignore[arg-type]
        loss=Loss("dot"),
        recurrence={
            "declared": recurrence.declared,
            "source": _digest(recurrence),
            "draw": asdict(draw),
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


def build_recurrence(case: Case, recurrence: Recurrence | None = None) -> RecurrenceProblem:
    """Draw the arrays of a recurrence's case. They are read-only; ``copy`` has such as can be written to.

    Args:
        case: of the recurrence.
        recurrence: the recurrence; the library's of that name, or the declaration alone, if None.
    """
    assert case.recurrence is not None
    recurrence = recurrence or known_as(case)
    shapes, draw = case.recurrence["shapes"], Draw(**case.recurrence["draw"])
    given, seed = shapes["given"], draw.seed
    no_outputs, no_states = draw.upstream == "last states alone", draw.upstream == "outputs alone"
    inputs = {
        name: _drawn(case, recurrence, f"inputs.{name}", given[f"inputs.{name}"], draw) for name in _inputs(recurrence)
    }
    problem = RecurrenceProblem(
        case=case,
        weights={name: _drawn(case, recurrence, name, shape, draw) for name, shape in shapes["weights"].items()},
        initial_state={
            name: _drawn(case, recurrence, f"{name}0", given[f"{name}0"], draw) for name in recurrence.state
        },
        inputs=inputs,
        targets=_normal(seed, "upstream", shapes["forward"]["outputs"], zero=no_outputs).astype(case.dtype),
        upstream_state={
            name: _normal(seed, f"upstream.{name}", given[f"{name}0"], zero=no_states).astype(case.dtype)
            for name in recurrence.state
        },
        recurrence=recurrence,
    )
    arrays = (problem.weights, problem.initial_state, inputs, problem.upstream_state)
    for array in (problem.targets, *(array for each in arrays for array in each.values())):
        array.setflags(write=False)
    return problem


def known_as(case: Case, known: Mapping[str, Recurrence] | None = None) -> Recurrence:
    """Return the recurrence of a case: one that is known by its name and its step's source, or its declaration alone.

    Args:
        case: of the recurrence.
        known: recurrences beside the library's.
    """
    assert case.recurrence is not None
    found = {**recurrences(), **(known or {})}.get(case.cell)
    if found is not None and _digest(found) == case.recurrence["source"]:
        return found
    return Recurrence.from_declared(case.recurrence["declared"])


def problem_of(recurrence: Recurrence, draw: Draw, sizes: Mapping[str, int]) -> RecurrenceProblem:
    """Return a problem of a recurrence with random numbers.

    Raises:
        DeclarationError: if a size is not the recurrence's.
        StepError: if the step does what a step may not.
    """
    return build_recurrence(case_of(recurrence, draw, sizes), recurrence)


def _digest(recurrence: Recurrence) -> str:
    """Return a digest of the source of a step, so that an answer follows from the step and not from its name."""
    try:
        source = inspect.getsource(inspect.getmodule(recurrence.step) or recurrence.step)
    except (OSError, TypeError):  # a notebook's cell whose text is gone: what was compiled remains
        source = repr((recurrence.step.__code__.co_code, recurrence.step.__code__.co_consts))
    return blake2b(source.encode(), digest_size=16).hexdigest()


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
        np.ones((B, 1)),
        {},
    )
    output = Recording(one).outputs[0].shape
    return (B, T, *output[1:])


def _drawn(case: Case, recurrence: Recurrence, name: str, shape: Sequence[int], draw: Draw) -> ndarray:
    """Draw an array: matrices by their number of rows, so that a step's numbers stay near 1."""
    is_weight, is_input = name in recurrence.weights, name.startswith("inputs.")
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


def _normal(seed: int, name: str, shape: Sequence[int], *, zero: bool = False) -> ndarray:
    return np.zeros(tuple(shape)) if zero else np.asarray(generator(seed, name).normal(size=tuple(shape)))


def sequences_of(problem: Problem) -> Sequences:
    """Return the arrays of a recurrence's problem, for the routes of ``harness.derive``."""
    assert isinstance(problem, RecurrenceProblem)
    return problem.sequences
