"""``complex-step``: the oracle, gradients from the forward pass alone; a sample of them if all would take too long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy import ndarray

from harness.derive.guards import consistent, derivative_by_complex_step
from harness.derive.imaginary import all_elements, by_imaginary_parts
from harness.derive.network import loss_and_slopes
from harness.derive.recording import NetworkRecording, Recorded, recorded
from harness.derive.tangents import complex_step as by_complex_steps
from harness.implementations.base import ANY, Partial, Returned, Unsupported, implementation
from harness.precision.perturbations import directions
from harness.problem import Problem
from harness.problem.arrays import generator
from harness.tensors import GATES
from reference_impls.truncation import passes

MOST_WORK = 2e10
"""Maximum multiplications for all elements, about ten seconds on one core; for more, elements are sampled."""

MOST_NUMBERS = 4e7
"""Numbers that all directions of a recurrence take together, about a second. Beyond it, a few directions are taken."""

SAMPLE = 8
"""Minimum number of elements of each array of a recurrence that are sampled, in each sequence."""

UNDERFLOW = 1e-200
"""Minimum of a tensor's largest element; a smaller one loses digits, since its product with the step is subnormal."""

RESOLUTION = 1e-220
"""Error of such a tensor's elements, absolute: the least float64 divided by the step, with room for sums."""

SAMPLED_WORK = 1e10
"""Maximum multiplications for a sample: less than a second, since small directions fit into a cache."""


def work(problem: Problem) -> float:
    """Return the number of scalar multiplications for all elements of all gradients.

    A direction of an input enters in the middle of the sequence in the mean.
    """
    return sum(
        work_of_one(problem, name) * _elements_of(problem, name) * (0.5 if name == "inputs" else 1.0)
        for name in problem.structure.gradients
    )


def work_of_one(problem: Problem, name: str = "inputs") -> float:
    """Return the number of multiplications of one direction that enters with a tensor; the inputs' is the largest."""
    s = problem.structure
    B, T, O = s.outputs
    steps = float(B * T * len(passes(problem.truncation, T)))
    if name.startswith("readout."):
        return steps * O
    H, D, gates = s.hidden, s.directions, GATES[s.cell]
    layer = 0 if name == "inputs" else int(name.partition(".")[0].removeprefix("layer"))
    own = gates * H * H * (D if name == "inputs" else 1)
    above = (s.layers - 1 - layer) * gates * D * H * (D * H + H)
    return steps * (own + above + D * H * O)


@implementation("complex-step", layout="split", complete=True, is_oracle=True, work=work, recurrence=ANY)
def complex_step(problem: Problem) -> Returned:
    """The oracle: complex perturbation of the NumPy forward pass, no backward pass involved.

    It is computed in float64 and rounded to the case's dtype, so a float32 answer is right to about the last bit.
    """
    return _of_network(problem) if problem.recurrence is None else _of_recurrence(problem)


def _of_network(problem: Problem) -> Returned:
    """Return every element of every gradient, or a sample and derivatives along directions if that takes too long.

    Raises:
        Unsupported: If even one element of each tensor would take too long.
    """
    structure, dtype = problem.structure, problem.case.dtype
    of_one = work_of_one(problem)
    below_readout = [name for name in structure.gradients if not name.startswith("readout.")]
    if of_one * len(below_readout) > MOST_WORK:
        raise Unsupported(f"would take {of_one:.1e} multiplications for one number; at most {MOST_WORK:.0e} in all")
    arrays = problem.as_dtype(np.float64).network
    recording = NetworkRecording(arrays)
    outputs = recording.value  # (B, T, O)
    loss, slopes = loss_and_slopes(arrays, outputs)  # (), (B, T, O)
    ends = [(node, slopes[:, t]) for t, node in enumerate(recording.outputs)]
    found: dict[str, Any] = {"loss": loss.astype(dtype), "outputs": outputs.astype(dtype)}
    if work(problem) <= MOST_WORK:
        gradients = by_imaginary_parts(recording, ends, all_elements(recording))
        return found | {name: _as_far_as_resolved(gradient, dtype) for name, gradient in gradients.items()}
    share = max(1, int(SAMPLED_WORK / of_one / len(below_readout)))
    few = dict.fromkeys(below_readout, share)
    for name in structure.gradients.keys() - few.keys():
        few[name] = max(1, int(SAMPLED_WORK / work_of_one(problem, name)))
    return found | _sampled(problem, Recorded(recording, found, ends), few)


def _of_recurrence(problem: Problem) -> Returned:
    """Return every element of every gradient, or a sample and derivatives along directions if that takes too long."""
    dtype, wide = problem.case.dtype, problem.as_dtype(np.float64).calculation
    consistent(wide)
    graph, answers, ends = recorded(wide)
    found: dict[str, Any] = {name: each.astype(dtype) for name, each in answers.items()}
    elements = sum(_elements_of(problem, name) for name in problem.structure.gradients)
    numbers = sum(node.value.size for node in graph.tape.nodes)
    if elements * numbers <= MOST_NUMBERS:
        return found | {name: each.astype(dtype) for name, each in by_complex_steps(graph, ends).items()}
    few = dict.fromkeys(problem.structure.gradients, max(SAMPLE, int(MOST_NUMBERS / numbers)))
    return found | _sampled(problem, Recorded(graph, answers, ends), few)


def _sampled(problem: Problem, recorded: Recorded, few: Mapping[str, int]) -> dict[str, Any]:
    """Return so many elements of each gradient, and derivatives along directions of all arrays.

    Args:
        problem: The problem.
        recorded: The problem in float64 on a tape.
        few: The number of elements of each gradient, in all sequences.
    """
    graph, _, ends = recorded
    dtype, wide = problem.case.dtype, problem.as_dtype(np.float64).calculation
    along = [derivative_by_complex_step(wide, v) for v in directions(problem.structure)]
    found: dict[str, Any] = {"directional": np.array(along).astype(dtype)}
    positions = {name: _sample(name, len(every), few[name]) for name, every in all_elements(graph).items()}
    for name, gradient in by_imaginary_parts(graph, ends, positions).items():
        found[name] = _partial(problem, name, gradient.astype(dtype), positions[name])
    return found


def _as_far_as_resolved(gradient: ndarray, dtype: str) -> ndarray | Partial:
    """Return a gradient in the case's dtype; one too small for the step becomes partly known, with its error."""
    rounded = gradient.astype(dtype)
    if dtype == "float64" and np.abs(gradient).max(initial=0.0) < UNDERFLOW:
        return Partial(rounded, np.ones(gradient.shape, np.bool_), np.full(gradient.shape, RESOLUTION))
    return rounded


def _elements_of(problem: Problem, name: str) -> int:
    """Return the number of directions of a tensor; the sequences of a batch share them."""
    structure = problem.structure
    shape = structure.gradients[name]
    return int(np.prod(shape if name in structure.weights else shape[1:]))


def _partial(problem: Problem, name: str, tensor: ndarray, positions: ndarray) -> ndarray | Partial:
    """Return a tensor of which the elements at some positions are known, in each sequence; itself if all are."""
    structure = problem.structure
    known = np.zeros(tensor.shape, np.bool_)
    flat = known.reshape(-1) if name in structure.weights else known.reshape(len(known), -1)
    flat[..., positions] = True
    return tensor if known.all() else Partial(tensor, known, np.zeros(tensor.shape))


def _sample(name: str, size: int, count: int) -> ndarray:
    """Draw ``count`` different positions, or all if there are fewer; the name is the seed."""
    return np.sort(generator(0, f"sample of {name}").choice(size, min(count, size), replace=False))
