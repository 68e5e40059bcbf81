"""Gradients held against the implementation's own forward pass, whatever cell that is.

The loss that an implementation returns is differentiated along random directions of each array, from its values alone:
by a complex step where the function takes complex numbers through to its loss, by Ridders' extrapolation elsewhere. A
gradient is right for the implementation's own forward pass if its products with the directions are these derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy import ndarray

from harness.derive.numerical import by_complex_step, by_differences, noise_of
from harness.implementations import Implementation
from harness.problem import Problem
from harness.problem.arrays import generator
from harness.problem.recurrent import RecurrenceProblem
from harness.result import read
from harness.tensors.digits import computed_in

DIRECTIONS = 2
"""Random directions of each array."""

STEP = 0.5
"""Length of a direction, in elements of the size of the array's typical one."""

NEAR = 1e-5
"""Step of the one difference that a complex step must agree with, and about the error of it."""

DIGITS = 1e-9
"""Least error of a derivative that is taken for one, relative to the sum of the products' sizes."""

LEAST_DIGITS = 1e-2
"""Largest error of a derivative that is taken for one."""

ALONG, OF_LOSS, ERROR = range(3)
"""The rows of a tensor's derivatives: of its gradient, of the own loss, and the error of the latter."""


class NoOwnLoss(Exception):
    """Gradients cannot be held against the own loss; the text is the reason."""


def own_derivatives(implementation: Implementation, problem: Problem) -> dict[str, ndarray]:
    """Differentiate an implementation's own loss along random directions of the arrays whose gradients it returns.

    Args:
        implementation: it is called many times, in this process, on fresh copies.
        problem: the problem, in the split layout. It is computed in float64, whatever the dtype of the case.

    Returns:
        By gradient, (3, K): the products of the returned gradient with K directions, the derivatives of the own loss
        along them, and how far these may be off, absolute.

    Raises:
        NoOwnLoss: if it returns neither a loss nor outputs, two calls differ, or differences find no derivative.
        NotReadable: if it returns no arrays.
        BaseException: whatever it raises.
    """
    exact = replace(problem.as_dtype(np.float64), case=replace(problem.case, dtype="float64"))

    def answered(given: Problem) -> Mapping[str, Any]:
        return implementation.function(given.in_layout(implementation.layout).copy())

    with np.errstate(all="ignore"):
        first = read(answered(exact), implementation.layout, exact, 0.0)
        loss = _loss_of(answered(exact), exact)
        if loss is None:
            raise NoOwnLoss("it returns neither a loss nor outputs to make one of")
        if not np.isfinite(loss):
            raise NoOwnLoss("its loss is no finite number")
        if loss != _loss_of(answered(exact), exact):
            raise NoOwnLoss("two calls on the same problem give two losses")
        narrow = computed_in("float32", [each for name, each in first.tensors.items() if name != "loss"])
        found = {}
        for name, gradient in first.gradients.items():
            if name in first.known or name not in exact.arrays or gradient.shape != exact.arrays[name].shape:
                continue
            each = _of_tensor(lambda given: _loss_of(answered(given), given), exact, name, gradient, narrow=narrow)
            if each:
                found[name] = np.array(each).T  # (3, K)
    if not found:
        raise NoOwnLoss("differences of its loss find no derivative; is it smooth there?")
    return found


def _of_tensor(
    own_loss: Callable[[Problem], Any], problem: Problem, name: str, gradient: ndarray, *, narrow: bool
) -> list[tuple[float, float, float]]:
    """Return for each direction the gradient's derivative, the own loss's, and how far that may be off; nothing for one
    along which differences find no derivative.
    """
    array = problem.arrays[name]
    typical = float(np.abs(array).mean()) or 1.0
    found = []
    for number in range(DIRECTIONS):
        direction = STEP * typical * generator(number, f"own direction of {name}").normal(size=array.shape)

        def along(at: Mapping[str, ndarray], direction: ndarray = direction) -> Any:
            moved = _moved(problem, name, array + (at["s"][0] - 1) * direction)
            # All of it is complex, since arrays that a function makes like one of them hold numbers of another.
            return own_loss(moved.as_dtype(np.complex128) if np.iscomplexobj(at["s"]) else moved)

        products = gradient * direction
        value, error = _derivative(along, narrow=narrow)
        least = DIGITS * float(np.abs(products).sum())
        if error <= LEAST_DIGITS * max(abs(value), least / DIGITS * LEAST_DIGITS):
            found.append((float(products.sum()), value, error + least))
    return found


def _derivative(along: Callable[[Mapping[str, ndarray]], Any], *, narrow: bool) -> tuple[float, float]:
    """Return the derivative of a loss along a direction at s = 1, and how far it may be off, absolute."""
    point = {"s": np.ones(1)}
    exact = None if narrow else by_complex_step(along, point, "s", 0)
    if exact is not None:  # it must pass as complex all the way: one difference shows that it does
        values = [float(np.real(along({"s": np.array([1 + sign * NEAR])}))) for sign in (1, -1)]
        near = (values[0] - values[1]) / (2 * NEAR)
        if abs(near - exact) <= 1e-4 * abs(near) + 1e-16 / NEAR * 16 * abs(values[0]):
            return exact, 0.0
    rounding = float(np.finfo(np.float32).eps) * abs(float(np.real(along(point)))) if narrow else 0.0
    return by_differences(along, point, "s", 0, max(noise_of(along, point, "s"), rounding))


def _loss_of(returned: Mapping[str, Any], problem: Problem) -> Any:
    """Return the loss of an answer, complex if its numbers are; one made of the outputs where none was returned."""

    def plain(value: Any) -> ndarray:
        return np.asarray(value.detach().numpy() if hasattr(value, "detach") else value)

    if (loss := returned.get("loss")) is not None:
        return plain(loss)[()]
    if (outputs := returned.get("outputs")) is None:
        return None
    if not isinstance(problem, RecurrenceProblem):
        return problem.loss(plain(outputs))[0][()]
    last = {name: plain(each) for name in problem.upstream_state if (each := returned.get(f"last.{name}")) is not None}
    unseen = any(each.any() for name, each in problem.upstream_state.items() if name not in last)
    return None if unseen else problem.loss(plain(outputs), last)[0][()]


def _moved(problem: Problem, name: str, array: ndarray) -> Problem:
    """Return a problem with another array under the name of a gradient."""
    if name.partition(".")[0] == "inputs":
        if "inputs" not in problem.by_name:
            return replace(problem, inputs=array)
        fed = problem.recurrence.fed if problem.recurrence is not None and name == "inputs" else None
        inputs: Any = {**problem.by_name["inputs"], fed or name.removeprefix("inputs."): array}
        return replace(problem, inputs=inputs)
    if name in problem.weights:
        return replace(problem, weights={**problem.weights, name: array})
    state = name if name in problem.initial_state else name.removesuffix("0")
    return replace(problem, initial_state={**problem.initial_state, state: array})
