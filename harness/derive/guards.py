"""Checks of a step that need no reference.

Every route but one follows a recording. These guards call the step itself: along a random direction, on numbers a
little apart and on complex ones; twice on the same numbers; on a sequence in two halves. They also call it on each
sequence of the batch alone, and on arrays with other strides in memory. In a network, they hold plain arrays against
the recording, and differences against complex numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy import ndarray

from harness.derive.namespaces.numpy import xp
from harness.derive.operations import STEPS
from harness.derive.recording import Graph, Recording, Sequences, recorded
from harness.derive.stepping import Calculation, Loop, StepError

ROUNDING = 1e4
"""Maximum difference of two orders of a sum, in eps times the largest element and in changes by one eps."""

NOT_FINITE = (
    "the result has a NaN or an infinity, so that no derivative is a number; keep the arguments of log, sqrt and a "
    "division away from zero, or declare arrays that must be above zero as positive=(…)"
)

EPS = float(np.finfo(np.float64).eps)


def loss_of(problem: Calculation) -> Any:
    """Return the loss, by the step itself."""
    return problem.answers(Loop(xp))["loss"]


def direction(problem: Calculation, seed: int = 0) -> dict[str, ndarray]:
    """Return a random direction, by the names of gradients, each tensor's in proportion to its numbers."""
    random = np.random.Generator(np.random.PCG64(seed))
    found: dict[str, ndarray] = {}

    def draw(name: str, array: ndarray) -> ndarray:
        moved = random.normal(size=array.shape) * (np.abs(array) + 0.1)
        found[name] = (0 * moved if name in problem.constant else moved).astype(array.dtype)
        return array

    problem.mapped(draw)
    return found


def derivative_by_difference(
    problem: Calculation, along: Mapping[str, ndarray], h: float = 6e-6
) -> tuple[float, float]:
    """Return the central difference of the loss along a direction, in float64, and its maximum error.

    It is Richardson's extrapolation of two differences. The distance between the two, and the digits of the loss, give
    the error.
    """
    wide = problem.mapped(lambda _, array: array.astype(np.float64))

    def loss_at(size: float) -> float:
        return float(loss_of(wide.mapped(lambda name, array: array + size * along[name].astype(np.float64))))

    def slope(size: float) -> float:
        return (loss_at(size) - loss_at(-size)) / (2 * size)

    coarse, fine = slope(2 * h), slope(h)
    return (4 * fine - coarse) / 3, abs(fine - coarse) + EPS * max(1.0, abs(loss_at(0.0))) / h


def derivative_by_complex_step(problem: Calculation, along: Mapping[str, ndarray]) -> float:
    """Return the derivative of the loss along a direction, by the step itself on complex numbers."""
    h = STEPS[np.dtype(np.float64)]
    moved = problem.mapped(lambda name, array: array.astype(np.float64) + 1j * h * along.get(name, 0))
    return float(np.imag(loss_of(moved)) / h)


def consistent(problem: Calculation) -> None:
    """Check that a step, or a network of one, gives the same result in every way of calling it.

    Raises:
        StepError: if two calls differ, two halves are not the whole, sequences of the batch affect each other, strides
            matter, or small differences contradict the complex step.
    """
    whole = _forward(problem)
    if isinstance(problem, Sequences):
        _same_in_every_call(problem, whole)
    graph, answers, _ = recorded(problem)
    answers = {name.removeprefix("last."): each for name, each in answers.items() if name != "loss"}
    _same(problem, whole, answers, "the step computes something else on plain arrays than on the recorded ones")
    if not graph.tape.deviates:  # else its backward pass is declared not to be the derivative
        _differences_agree(problem, graph)


def _same_in_every_call(problem: Sequences, whole: Mapping[str, ndarray]) -> None:
    again = _forward(problem)
    if any(not np.array_equal(array, again[name], equal_nan=True) for name, array in whole.items()):
        line = _line(Recording(problem), Recording(problem))
        _refuse(problem, "two calls with the same arrays differ; the step keeps or draws a value", line)
    strided = problem.mapped(lambda _, array: np.asfortranarray(array))
    _same(problem, whole, _forward(strided), "arrays with other strides in memory change the result")
    if problem.steps > 1:
        half = problem.steps // 2
        first = _forward(_steps(problem, slice(None, half)))
        handed = {name: array for name, array in first.items() if name != "outputs"}
        second = _forward(replace(_steps(problem, slice(half, None)), initial_state=handed))
        outputs = np.concatenate([first["outputs"], second["outputs"]], 1)
        text = "two halves with the state carried over differ from the whole; the step keeps a value besides the state"
        _same(problem, whole, {**second, "outputs": outputs}, text)
    for b in range(problem.upstream.shape[0]):
        alone = _forward(_sequence(problem, b))
        own = {name: array[b : b + 1] for name, array in whole.items()}
        text = f"sequence {b} alone gives another result; sequences of the batch affect each other"
        _same(problem, own, alone, text, lambda b=b: _line(Recording(problem), Recording(_sequence(problem, b)), b))  # type: ignore[misc]
    for b in range(problem.upstream.shape[0] if problem.recurrence.resets in problem.inputs else 0):
        own = {name: array[b : b + 1] for name, array in whole.items()}
        text = (
            f"sequences packed into sequence {b} differ from the same ones alone; before a step where "
            f"{problem.recurrence.resets} is 1, every state should count as zero"
        )
        _same(problem, own, _unpacked(_sequence(problem, b)), text)


def _differences_agree(problem: Calculation, graph: Graph) -> None:
    along = direction(problem)
    exact = derivative_by_complex_step(problem, along)
    for h in (6e-6, 6e-8, 6e-10):  # the smaller ones where the loss bends much
        found, off = derivative_by_difference(problem, along, h)
        if abs(found - exact) <= 1e-6 * max(abs(exact), abs(found)) + 10 * off:
            break
    else:
        found, _ = derivative_by_difference(problem, along)
        if not (np.isfinite(exact) and np.isfinite(found)):
            _refuse(problem, NOT_FINITE, _first_not_finite(graph))
        _refuse(problem, f"complex step gives {exact:.9g} along a random direction, differences give {found:.9g}")


def _forward(problem: Calculation) -> dict[str, ndarray]:
    """Return the outputs and, of a recurrence, the last states by their own names."""
    if not isinstance(problem, Sequences):
        return {"outputs": np.asarray(problem.answers(Loop(xp))["outputs"])}
    outputs, last = problem.forward(Loop(xp))
    return {**{name: np.asarray(state) for name, state in last.items()}, "outputs": np.stack(outputs, 1)}


def _steps(problem: Sequences, steps: slice) -> Sequences:
    own = problem.recurrence.inputs
    inputs = {name: array[:, steps] if name in own else array for name, array in problem.inputs.items()}
    return replace(problem, inputs=inputs)


def _unpacked(problem: Sequences) -> dict[str, ndarray]:
    """Run the sequences that are packed into one of them each by itself, without a reset."""
    name = problem.recurrence.resets
    resets = problem.inputs[name]  # (1, T)
    starts = sorted({0, *np.flatnonzero(resets[0]).tolist()})
    outputs, last = [], {}
    for start, end in zip(starts, [*starts[1:], problem.steps], strict=True):
        own = _steps(problem, slice(start, end))
        own = replace(own, inputs={**own.inputs, name: np.zeros_like(own.inputs[name])})
        if resets[0, start]:
            own = replace(own, initial_state={state: 0 * array for state, array in own.initial_state.items()})
        last = _forward(own)
        outputs.append(last["outputs"])
    return {**last, "outputs": np.concatenate(outputs, 1)}


def _sequence(problem: Sequences, b: int) -> Sequences:
    def of(arrays: Mapping[str, ndarray]) -> dict[str, ndarray]:
        return {name: array[b : b + 1] for name, array in arrays.items()}

    return replace(problem, inputs=of(problem.inputs), initial_state=of(problem.initial_state))


def _line(one: Recording, other: Recording, b: int | None = None) -> int:
    """Return the line of the first operation whose values differ in two recordings; 0 if there is none.

    Args:
        one: a recording.
        other: another one of the same steps.
        b: the sequence of the first that is alone in the other; all of them if None.
    """
    at = {(node.site, node.t): node.value for node in other.tape.nodes if node.site.line}
    for node in one.tape.nodes:
        value, theirs = node.value, at.get((node.site, node.t))
        if theirs is None:
            continue
        if b is not None and value.shape != theirs.shape:
            value = value[b : b + 1]
        same = value.shape != theirs.shape or np.allclose(value, theirs, rtol=1e-9, atol=0, equal_nan=True)
        if not same:
            return node.site.line
    return 0


def _first_not_finite(graph: Graph) -> int:
    """Return the line of the first operation with a NaN or an infinity; 0 if there is none."""
    lines = (node.site.line for node in graph.tape.nodes if not np.isfinite(node.value).all())
    return next((line for line in lines if line), 0)


def _same(
    problem: Calculation,
    one: Mapping[str, ndarray],
    other: Mapping[str, ndarray],
    text: str,
    line: Callable[[], int] = int,
) -> None:
    for name, array in one.items():
        eps = np.finfo(array.dtype).eps
        with np.errstate(all="ignore"):
            apart = np.abs(array - other[name])[np.isfinite(array)]
            if (apart <= ROUNDING * eps * np.abs(array).max(initial=0.0)).all():
                continue
            moved = np.abs(_forward(_shaken(problem))[name] - _forward(problem)[name])  # much, if it is chaotic
            if not (apart <= ROUNDING * moved[np.isfinite(moved)].max(initial=0.0)).all():
                _refuse(problem, f"{text} ({name}, by {apart.max():.3g})", line())


def _shaken(problem: Calculation) -> Calculation:
    """Return a problem with numbers that are each off by one eps, of either sign."""

    def off(name: str, array: ndarray) -> ndarray:
        random = np.random.Generator(np.random.PCG64(len(name)))
        moved = array * (1 + random.choice((-1, 1), array.shape) * np.finfo(array.dtype).eps).astype(array.dtype)
        return array if name in problem.constant else moved

    return problem.mapped(off)


def _refuse(problem: Calculation, text: str, line: int = 0) -> None:
    recurrence = problem.cell_step
    line = line or recurrence.step.__code__.co_firstlineno
    raise StepError(f"{recurrence.name}, line {line} of {recurrence.file}: {text}")
