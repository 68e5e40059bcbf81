"""``complex-step``: the oracle, gradients from the forward pass alone; a sample of them if all would take too long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy import ndarray

from harness.derive.guards import consistent, derivative_by_complex_step
from harness.derive.noise import answered
from harness.derive.recording import Recording
from harness.derive.tangents import complex_step as by_complex_steps
from harness.implementations.base import ANY, Partial, Returned, Unsupported, implementation
from harness.precision.perturbations import directions
from harness.problem import Problem
from harness.problem.arrays import generator
from harness.problem.recurrent import RecurrenceProblem
from harness.tensors import GATES, STATES, Shape
from reference_impls import complex_step as reference
from reference_impls import complex_step_gated as gated
from reference_impls import complex_step_sampled as sampled
from reference_impls.activations import ACTIVATIONS
from reference_impls.losses import ROW_LOSSES, number_of_terms
from reference_impls.truncation import passes

MOST_WORK = 2e10
"""Maximum multiplications for all elements, about ten seconds on one core; for more, elements are sampled."""

MOST_NUMBERS = 4e7
"""Numbers that all directions of a recurrence take together, about a second. Beyond it, a few directions are taken."""

SAMPLE = 8
"""Elements of each array of a recurrence, at each step, where all would take too long."""

UNDERFLOW = 1e-200
"""Minimum of a tensor's largest element; a smaller one loses digits, since its product with the step is subnormal."""

RESOLUTION = 1e-220
"""Error of such a tensor's elements, absolute: the least float64 divided by the step, with room for sums."""

SAMPLED_WORK = 1e10
"""Maximum multiplications for a sample: less than a second, since small directions fit into a cache."""


STATE_ENDS = tuple(f".{state}" for state in sorted({state for states in STATES.values() for state in states}))


def work(problem: Problem) -> float:
    """Return the number of scalar multiplications for all elements of all gradients."""
    s = problem.structure
    B, T, O = s.outputs
    runs = len(passes(problem.truncation, T))
    if _is_plain(problem):
        return runs * sum(reference.work(T, B, s.input, s.hidden, O, s.layers))
    return _work_of_one(problem) * sum(_elements_of(name, shape) for name, shape in s.gradients.items())


def _is_plain(problem: Problem) -> bool:
    """Return whether a problem is a plain rnn in one direction over whole sequences."""
    s = problem.structure
    return s.cell == "rnn" and s.directions == 1 and problem.lengths is None


def _work_of_one(problem: Problem) -> float:
    """Return the number of multiplications for one element, if the network is not a plain rnn."""
    s = problem.structure
    B, T, O = s.outputs
    runs = len(passes(problem.truncation, T))
    return runs * gated.work_of_one(T, B, s.input, s.hidden, GATES[s.cell], O, s.layers, s.directions)


@implementation(
    "complex-step",
    layout="split",
    supports={"cell": tuple(gated.CELLS)},
    complete=True,
    is_oracle=True,
    work=work,
    recurrence=ANY,
)
def complex_step(problem: Problem) -> Returned:
    """The oracle: complex perturbation of the NumPy forward pass, no backward pass involved.

    It is computed in float64 and rounded to the case's dtype, so a float32 answer is right to about the last bit.
    """
    if isinstance(problem, RecurrenceProblem):
        return _of_recurrence(problem)
    case = problem.case
    arguments = _arguments(problem)
    if not _is_plain(problem):
        return _whole(problem, arguments)
    if work(problem) <= MOST_WORK:
        loss, outputs, gradients = reference.gradients(**arguments)
        found: dict[str, Any] = {"loss": loss.astype(case.dtype), "outputs": outputs.astype(case.dtype)}
        return found | {name: _as_far_as_resolved(gradient, case.dtype) for name, gradient in gradients.items()}
    return _sampled(problem, arguments)


def _of_recurrence(problem: RecurrenceProblem) -> Returned:
    """Return every element of every gradient, or a sample and derivatives along directions if that takes too long."""
    dtype, wide = problem.case.dtype, problem.as_dtype(np.float64).sequences
    consistent(wide)
    recording = Recording(wide)
    found: dict[str, Any] = {name: each.astype(dtype) for name, each in answered(recording, wide).items()}
    weights, shapes = problem.structure.weights, problem.structure.gradients
    elements = sum(int(np.prod(shape if name in weights else shape[1:])) for name, shape in shapes.items())
    if elements * sum(node.value.size for node in recording.tape.nodes) <= MOST_NUMBERS:
        return found | {name: each.astype(dtype) for name, each in by_complex_steps(recording, wide).items()}
    along = [derivative_by_complex_step(wide, v) for v in directions(problem.structure)]
    found["directional"] = np.array(along).astype(dtype)
    for name, each in by_complex_steps(recording, wide, SAMPLE).items():
        found[name] = Partial(each.astype(dtype), ~np.isnan(each), np.zeros(each.shape))
    return found


def _arguments(problem: Problem) -> dict[str, Any]:
    """Return the arguments of the reference, in float64."""
    case, covered = problem.case, problem.covered

    def double(array: ndarray) -> ndarray:
        return array.astype(np.float64) if array.dtype.kind == "f" else array

    terms = number_of_terms(case.loss.kind, int(covered.sum()), problem.structure.outputs[2])
    return {
        "weights": {name: double(array) for name, array in problem.weights.items()},
        "inputs": double(problem.inputs),
        "initial_state": {name: double(array) for name, array in problem.initial_state.items()},
        "activation": ACTIVATIONS[case.activation],
        "row_losses": ROW_LOSSES[case.loss.kind],
        "targets": double(problem.targets),
        "covered": covered,
        "terms": terms if case.loss.reduction == "mean" else 1,
        "truncation": problem.truncation,
    }


def _whole(problem: Problem, arguments: Mapping[str, Any]) -> Returned:
    """Return the gradient by whole complex numbers: all elements, or a sample if that would take too long.

    Raises:
        Unsupported: If even one element of each tensor would take too long.
    """
    s, dtype = problem.structure, problem.case.dtype
    of_one = _work_of_one(problem)
    if of_one * len(s.gradients) > MOST_WORK:
        raise Unsupported(f"would take {of_one:.1e} multiplications for one number; at most {MOST_WORK:.0e} in all")
    share = max(1, int(SAMPLED_WORK / of_one / len(s.gradients)))
    loss, outputs, state = gated.forward(s.cell, **arguments, lengths=problem.lengths)
    found: dict[str, Any] = {"loss": loss.astype(dtype), "outputs": outputs.astype(dtype)}
    if work(problem) <= MOST_WORK:
        return found | {name: _as_far_as_resolved(gradient, dtype) for name, gradient in gated.gradients(state).items()}
    found["directional"] = np.array([gated.along(state, v) for v in directions(s)]).astype(dtype)
    for name, shape in s.gradients.items():
        at, values = _some_of(state, name, shape, share)
        found[name] = _partial(shape, at, values, dtype)
    return found


def _as_far_as_resolved(gradient: ndarray, dtype: str) -> ndarray | Partial:
    """Return a gradient in the case's dtype; one too small for the step becomes partly known, with its error."""
    rounded = gradient.astype(dtype)
    if dtype == "float64" and np.abs(gradient).max(initial=0.0) < UNDERFLOW:
        return Partial(rounded, np.ones(gradient.shape, np.bool_), np.full(gradient.shape, RESOLUTION))
    return rounded


def _elements_of(name: str, shape: Shape) -> int:
    """Return the number of perturbed passes for a tensor; the sequences of a batch share them."""
    return int(np.prod(shape[1:] if name == "inputs" or name.endswith(STATE_ENDS) else shape))


def _some_of(state: gated.GatedProblem, name: str, shape: Shape, share: int) -> tuple[tuple[Any, ...], ndarray]:
    """Return the positions of a tensor's sampled elements, and their gradient."""
    every = slice(None)
    if name == "inputs":
        steps, columns = _sample(name, shape[1:], share)
        return (every, steps, columns), gated.of_inputs(state, steps, columns)
    if name.endswith(STATE_ENDS):
        (units,) = _sample(name, shape[1:], share)
        return (every, units), gated.of_initial_state(state, name, units)
    at = _sample(name, shape, share)
    rows = at[0] if len(at) == 2 else np.zeros_like(at[0])
    return at, gated.of_weight(state, name, rows, at[-1])


def _partial(shape: Shape, at: tuple[Any, ...], values: ndarray, dtype: str) -> Partial:
    known, tensor = np.zeros(shape, np.bool_), np.full(shape, np.nan, dtype)
    known[at], tensor[at] = True, values
    return Partial(tensor, known, np.zeros(shape))


def _sampled(problem: Problem, arguments: Mapping[str, Any]) -> Returned:
    """Return some elements of every tensor, and derivatives along directions over all tensors together.

    Raises:
        Unsupported: If even one direction for each tensor would take too long.
    """
    structure, dtype = problem.structure, problem.case.dtype
    B, T, O = structure.outputs
    runs = len(passes(problem.truncation, T))
    of_one = runs * reference.work_of_one(T, B, structure.hidden, O, structure.layers - 1)
    tensors = 4 * structure.layers + 1  # without the readout's, which need no direction of their own
    if tensors * of_one > MOST_WORK:
        raise Unsupported(f"would take {of_one:.1e} multiplications for one number; at most {MOST_WORK:.0e} in all")
    share = max(1, int(SAMPLED_WORK / of_one / tensors))
    loss, state = reference.perturbed(**arguments)
    found: dict[str, Any] = {
        "loss": loss.astype(dtype),
        "outputs": state.outputs.astype(dtype),
        "directional": np.array([sampled.along(v, **arguments) for v in directions(structure)]).astype(dtype),
    }
    found |= {name: gradient.astype(dtype) for name, gradient in reference.of_readout(state).items()}
    for name, at, values in _elements(state, problem, share):
        found[name] = _partial(structure.gradients[name], at, values, dtype)
    return found


def _elements(
    state: reference.Perturbed, problem: Problem, share: int
) -> Iterator[tuple[str, tuple[Any, ...], ndarray]]:
    """Yield, for each tensor below the readout, its name, the positions of its sampled elements, and their gradient."""
    structure = problem.structure
    every = slice(None)
    for n, block in enumerate(structure.blocks):
        I = structure.input_size(block)
        first_rows = {"W_xh": 0, "W_hh": I, "b_h": I + structure.hidden}  # in z = [x, h, 1]
        for weight, first in first_rows.items():
            name = f"{block}.{weight}"
            at = _sample(name, structure.weights[name], share)
            rows = at[0] + first if len(at) == 2 else np.full(len(at[0]), first)
            yield name, at, sampled.of_weights(state, n, rows, at[-1])
        (units,) = _sample(f"{block}.h0", (structure.hidden,), share)
        yield f"{block}.h0", (every, units), sampled.of_initial_state(state, n, units)
    steps, columns = _sample("inputs", (structure.time, structure.input), share)
    yield "inputs", (every, steps, columns), sampled.of_inputs(state, steps, columns)


def _sample(name: str, shape: tuple[int, ...], count: int) -> tuple[ndarray, ...]:
    """Draw ``count`` different indices into a shape, or all if it has fewer; the name is the seed."""
    size = int(np.prod(shape))
    positions = generator(0, f"sample of {name}").choice(size, min(count, size), replace=False)
    return np.unravel_index(np.sort(positions), shape)
