"""The sight of a case: its blind spots, and the faults that it misses.

A case does not find a fault if the wrong gradient comes out right on it. It shows a transposed matrix only if the
matrix is not symmetric, and a forgotten initial state only if the state is not zero. The missed faults are computed, by
committing all of them; the blind spots give the reasons.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray

from harness.case import ValidCase
from harness.case.fields import made_elsewhere
from harness.diagnosis.cells import CellLayer
from harness.diagnosis.committing import obstacle, suspects_of
from harness.diagnosis.faults import Fault, faults
from harness.diagnosis.faults.sharing import is_one_hot
from harness.diagnosis.predictions import Predictions, in_double
from harness.diagnosis.tensor_faults import TENSOR_FAULTS, Subject
from harness.problem import Problem, build
from harness.tensors import Structure
from reference_impls.truncation import Window, passes


@dataclass(frozen=True)
class Sight:
    """The sight of a case.

    Attributes:
        seen: the faults that change a result by more than the tolerance.
        missed: the possible faults that change nothing, each with the reason.
        impossible: the faults that cannot be committed on this case, each with the reason.
    """

    seen: tuple[str, ...]
    missed: dict[str, str]
    impossible: dict[str, str]


def catalogue() -> dict[str, str]:
    """Return the explanation of every fault by name: those of backpropagation, then those of one tensor."""
    of_network = {name: fault.described() for name, fault in faults().items()}
    return {**of_network, **{name: text for name, (text, _) in TENSOR_FAULTS.items()}}


def sight(predictions: Predictions) -> Sight:
    """Commit every fault on a problem, and see which show."""
    problem = predictions.problem
    spots = {spot.name for spot in blind_spots(problem, predictions)}
    seen, missed, impossible = [], {}, {}
    double = in_double(problem)
    for name, fault in faults().items():
        if reason := _obstacle(fault, double):
            impossible[name] = reason
        elif predictions.shows(fault):
            seen.append(name)
        else:
            hiding = [spot for spot in fault.hidden_by if spot in spots]
            missed[name] = "; ".join(hiding) or _common(spots)
    for name in TENSOR_FAULTS:
        effects = list(_effects(name, predictions))
        if any(effects):
            seen.append(name)
        elif effects:
            missed[name] = _common(spots)
        else:
            impossible[name] = "no tensor has the shape for it"
    return Sight(tuple(seen), missed, impossible)


def _common(spots: set[str]) -> str:
    """Return the reason why a fault that no blind spot is known to hide may be hidden."""
    return next((spot for spot in HIDE_ANYTHING if spot in spots), "the numbers come out the same here")


HIDE_ANYTHING = ("zero gradients", "one unit", "small gradients", "gradients lost in rounding")


def _obstacle(fault: type[Fault], problem: Problem) -> str:
    if reason := obstacle(fault, problem):
        return reason
    return "" if next(suspects_of(fault, problem), None) else "there is no way to commit it"


def _effects(name: str, predictions: Predictions) -> Iterator[bool]:
    """Yield whether a fault of one tensor shows, for each tensor and way to commit it."""
    maker = TENSOR_FAULTS[name][1]
    for tensor, right in predictions.truth.items():
        if tensor == "loss":
            continue
        for candidate in maker(Subject(tensor, predictions.truth, predictions.problem)):
            yield bool((np.abs(candidate.predicted - right) > predictions.bounds[tensor]).any())


@dataclass(frozen=True)
class BlindSpot:
    """Something about a case that can hide faults.

    Attributes:
        name: a few words.
        text: a warning for the author of the case, with the change to make; empty for no warning.
    """

    name: str
    text: str = ""


def blind_spots(problem: Problem, predictions: Predictions | None = None) -> list[BlindSpot]:
    """Return the blind spots of a problem, which can hide faults.

    Args:
        problem: in the split layout.
        predictions: of the problem; without them, only the blind spots of its arrays are found.
    """
    found = [*_of_sizes(problem), *_of_arrays(problem)]
    if predictions is not None:
        found += _of_rounding(predictions)
    if predictions is not None:
        found += _of_outputs(predictions)
        if predictions.network.layers:  # in parts
            found += _of_gradients(predictions)
    return found


MOST_WORK = 1e9
"""Maximum multiplications of a network that runs for its blind spots."""


TURN = 4e5
"""Cost of one turn of the loops, in multiplications: nearly the whole cost of a small network with many steps."""


def blind_spots_of_case(case: ValidCase) -> list[BlindSpot]:
    """Return the blind spots that are worth a warning to the author of a case.

    Weights that a framework makes are taken for random ones, so that none has to be started. The numbers of a
    recurrence are random; its sizes alone can hide faults.
    """
    if case.recurrence is not None:
        return [spot for spot in _of_sizes(build(case, _no_framework)) if spot.text]
    weights = {"uniform": (-0.5, 0.5)} if made_elsewhere(case.weights) else case.weights
    problem = build(replace(case, weights=weights), _no_framework)
    B, T, _ = problem.structure.outputs
    turns = float(T * len(problem.structure.blocks))
    work = turns * (B * case.sizes.hidden**2 + TURN)
    with np.errstate(all="ignore"):  # a case may intend its overflow
        predictions = Predictions(problem, {}) if work <= MOST_WORK else None
        found = {spot.name: spot for spot in blind_spots(problem, predictions) if spot.text}
    return list(found.values())


def _no_framework(framework: str, seed: int, structure: Structure, dtype: str) -> Mapping[str, ndarray]:
    raise AssertionError(f"the weights of {framework} (seed {seed}, {structure}, {dtype}) are not needed")


def _of_sizes(problem: Problem) -> Iterator[BlindSpot]:
    sizes, recurrence = problem.case.sizes, problem.case.recurrence
    B, T, H = sizes.batch, sizes.time, sizes.hidden
    named = {"batch": B, "time": T}
    named |= {"input": sizes.input, "hidden": H} if recurrence is None else recurrence["sizes"]
    if sizes.output is not None:
        named["output"] = sizes.output
    by_length: dict[int, list[str]] = {}
    for name, length in named.items():
        by_length.setdefault(length, []).append(name)
    equal = [f"{' and '.join(names)} are {length}" for length, names in by_length.items() if len(names) > 1]
    if equal:
        yield BlindSpot("equal sizes", f"{'; '.join(equal)}: a swap of two axes keeps the shape; use different sizes")
    if problem.truncation is not None and len(passes(problem.truncation, max(problem.case.steps) + 1)[0].chunks) == 1:
        yield BlindSpot(
            "the truncation cuts nothing",
            "no loss is late enough for the truncation to cut anything: the gradient is the full one; use more steps",
        )
    if isinstance(problem.truncation, Window) and problem.case.layers == 1:
        yield BlindSpot("one recursion for each loss")
    if problem.lengths is not None and problem.valid.all():
        yield BlindSpot("no padding", f"every length is {T}, so that no padding can go wrong; use a shorter length")
    if T == 1:
        yield BlindSpot("one step", "with sizes.time 1 nothing is carried back through time; use 3 or more")
    elif T < 3:
        yield BlindSpot("few steps", f"sizes.time {T} hides faults between the first and the last step; use 3")
    if T < 3:
        yield BlindSpot("few steps")
    if B == 1:
        yield BlindSpot("one sequence", "with sizes.batch 1 a missing or wrong sum over the batch does not show; use 2")
    if H == 1:
        yield BlindSpot("one unit", "with sizes.hidden 1 every matrix is its own transpose; use 2 or more")
    steps = problem.case.steps
    if steps == (0,) and T > 1:
        yield BlindSpot("loss at the first step alone", "the loss covers the first step alone: no gradient goes back")
    if steps == (T - 1,):
        yield BlindSpot("loss at the last step alone")
    if set(steps) <= {0, T - 1}:
        yield BlindSpot("no upstream between the first and the last step")


def _of_arrays(problem: Problem) -> Iterator[BlindSpot]:
    weights = problem.weights
    matrices = {name: w for name, w in weights.items() if w.ndim == 2}
    constant = [name for name, w in matrices.items() if w.size > 1 and _constant(w)]
    if constant:
        text = (
            f"all elements of {', '.join(constant)} are the same, so that a transposed matrix is the same; use normal"
        )
        yield BlindSpot("constant weights", text)
    if not any(w.any() for name, w in weights.items() if name.endswith(".W_hh")):
        yield BlindSpot("zero recurrent weights", "the recurrent weights are zero, so that there is no recurrence")
    biases = [name for name, w in weights.items() if w.ndim == 1]
    zero = [name for name in biases if not weights[name].any()]
    if zero:
        yield BlindSpot("zero biases", f"{', '.join(zero)}: zero; an unused bias does not show in the forward pass")
    if not all(state.any() for state in problem.initial_state.values()):
        yield BlindSpot("zero initial state", "the initial state is zero, so that an unused one does not show")
    if problem.inputs.shape[1] > 1 and _same_along(problem.inputs, 1):
        yield BlindSpot("same input at every step", "every step has the same input, so that swapped steps do not show")
    tokens = problem.inputs.reshape(-1, problem.inputs.shape[-1])
    if not is_one_hot(tokens) or len(np.unique(tokens, axis=0)) == len(tokens):
        yield BlindSpot("no token comes again")
    if problem.case.loss.kind != "dot" and problem.targets.shape[1] > 1 and _same_along(problem.targets, 1):
        yield BlindSpot("same target at every step")
    if problem.case.loss.kind == "dot" and _constant(problem.upstream):
        yield BlindSpot("constant upstream", "all elements of upstream are the same: a wrong sum can come out right")


def _of_rounding(predictions: Predictions) -> Iterator[BlindSpot]:
    largest = {name: float(np.abs(tensor).max()) for name, tensor in predictions.truth.items()}
    if any(size <= predictions.bounds[name] for name, size in largest.items()):
        yield BlindSpot("gradients lost in rounding")


def _of_outputs(predictions: Predictions) -> Iterator[BlindSpot]:
    if np.abs(predictions.network.outputs).max() < np.log(np.finfo(predictions.problem.case.dtype).max):
        yield BlindSpot("nothing overflows")


def _of_gradients(predictions: Predictions) -> Iterator[BlindSpot]:
    network = predictions.network
    layers = network.layers
    slopes = [layer.slope() for layer in layers]  # (T, B, H) each
    if all((slope == 1).all() for slope in slopes):
        yield BlindSpot("slope of one")
    if all(((slope == 1) | (slope == 0)).all() for slope in slopes):
        yield BlindSpot("slope of zero or one")
    if not any(layer.delta.any() for layer in layers):
        yield BlindSpot("zero gradients", "every gradient of the recurrent weights is zero: no fault of them can show")
    saturated = max(float(np.mean(np.abs(slope) < 0.01)) for slope in slopes)
    if saturated > 0.5 and _can_saturate(predictions.problem):
        text = f"{saturated:.0%} of a layer's activations are saturated, and hardly any gradient passes through them"
        yield BlindSpot("saturation", text)
    passing = max(_passing(layer) for layer in layers)
    smallest = min(predictions.bounds[f"{block}.b_h"] for block in network.structure.blocks)
    if passing <= smallest:
        yield BlindSpot("no gradient passes between steps")
    if not any(each.carried.any() for layer in layers for each in layer.recursions.values()):
        yield BlindSpot("no gradient reaches the initial state")
    if _furthest(predictions.problem) < 2:
        yield BlindSpot("no gradient reaches further than a step")
    if passing < 0.1:
        yield BlindSpot("small gradients")
    if all(_same_along(layer.cache.before, 0) for layer in layers):
        yield BlindSpot("same state at every step")
    if not any((layer.cache.pre == 0).any() for layer in layers):
        yield BlindSpot("no pre-activation is exactly zero")


def _passing(layer: CellLayer) -> float:
    """Return the largest gradient that a step hands to the step before, without cuts."""
    return max(float(np.abs(each.arrived).max(initial=0.0)) for each in layer.recursions.values())


def _furthest(problem: Problem) -> int:
    """Return the maximum number of steps that the gradient of a loss is carried back."""
    every = passes(problem.truncation, problem.case.sizes.time)
    starts = (
        (step, first)
        for each in every
        for first, end in each.chunks
        for step in problem.case.steps
        if first <= step < end and each.counted[step]
    )
    return max(step - first for step, first in starts)


def _can_saturate(problem: Problem) -> bool:
    return problem.structure.cell != "rnn" or problem.case.activation in ("tanh", "sigmoid")


def _constant(array: ndarray) -> bool:
    return bool((array == array.flat[0]).all())


def _same_along(array: ndarray, axis: int) -> bool:
    return bool((array == array.take([0], axis)).all())
