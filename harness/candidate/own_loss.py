"""Gradients of a function held against its own loss: for a cell that no library has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy import ndarray

from harness.casefile import listed, nearest
from harness.comparison import Comparison, ComparisonPolicy, TensorComparison, compare
from harness.comparison.comparison import DIGITS
from harness.derive.numerical import by_complex_step, by_differences, noise_of
from harness.implementations import Partial
from harness.result.returned import NotReadable, array_of
from harness.tensors import shapes

LossAndGradients = Callable[[Mapping[str, ndarray]], tuple[Any, Mapping[str, Any]]]
"""Maps arrays by name to the loss and its gradients by name."""

MOST_ELEMENTS = 48
"""Maximum of elements of one array by which the loss is differentiated; of a larger one a sample is."""

DRAWS = 4
"""Draws by which the rounding noise of a gradient is measured."""

LEAST_DIGITS = 1e-2
"""Maximum error of a derivative, relative to the largest of its array, that is taken for one."""


def check_function(function: LossAndGradients, arrays: Mapping[str, ndarray], *, seed: int = 0) -> Comparison:
    """Compare the gradients that a function returns with derivatives of the loss that it returns.

    The loss is differentiated by the function's values alone: by complex step where the function takes complex arrays
    through to its loss, by Ridders' extrapolation of differences elsewhere. No recurrence, case or baseline is needed.

    Args:
        function: maps arrays by name to ``(loss, gradients by name)``. It is called many times, on fresh copies.
        arrays: the point, float arrays by name.
        seed: of the sample of elements of large arrays.

    Returns:
        A comparison of each gradient that was returned, in the elements that were differentiated.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if an array holds no floats, the loss is no finite number, a gradient has no array or another shape
            than it, two calls with the same arrays differ, or differences find no derivative of the loss.
        NotReadable: if something is no array of real numbers.
    """
    if not callable(function):
        raise TypeError(
            f"function is of type {type(function).__name__}, but should be one that returns (loss, gradients)"
        )
    if not isinstance(arrays, Mapping):
        raise TypeError(f"arrays is of type {type(arrays).__name__}, but should be a dictionary {{name: array}}")
    point = {name: array_of(name, array, None) for name, array in arrays.items()}
    for name, array in point.items():
        if array.dtype.kind != "f":
            raise ValueError(
                f"arrays[{name!r}] has dtype {array.dtype}, but should hold floats; no derivative is taken by it"
            )
    loss, gradients = _called(function, point)
    again, _ = _called(function, point)
    if loss != again:
        raise ValueError(f"two calls with the same arrays give the losses {loss!r} and {again!r}; fix what is drawn")

    def own_loss(moved: Mapping[str, ndarray]) -> Any:
        return function(moved)[0]

    random = np.random.Generator(np.random.PCG64(seed))
    expected = {name: _derivatives(own_loss, point, name, random) for name in gradients}
    noise = _noise(function, point, gradients, random)
    found = compare(gradients, expected, ComparisonPolicy(noise=noise, complete=False, own_dtype=True))
    return named_after_derivatives(found)


def named_after_derivatives(comparison: Comparison) -> Comparison:
    """Return a comparison whose bounds name the errors of derivatives."""
    return replace(comparison, tensors=tuple(_said(each) for each in comparison.tensors))


def _said(tensor: TensorComparison) -> TensorComparison:
    """Return a comparison whose bound names the error of the derivative, where printed digits stand for it."""
    if tensor.bound is None:
        return tensor
    origin = tensor.bound.origin.replace(DIGITS, "the error of the derivative")
    return replace(tensor, bound=replace(tensor.bound, origin=origin))


def _called(function: LossAndGradients, point: Mapping[str, ndarray]) -> tuple[float, dict[str, ndarray]]:
    returned = function({name: array.copy() for name, array in point.items()})
    if not (isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], Mapping)):
        raise NotReadable(f"returned a {type(returned).__name__}, but should return (loss, {{name: gradient}})")
    loss = array_of("loss", returned[0], None)
    if loss.shape != () or not np.isfinite(loss):
        raise ValueError(f"the loss should be one finite number, but is {np.array2string(loss, threshold=4)}")
    gradients = {}
    for name, given in returned[1].items():
        if name not in point:
            hint = nearest(name, point) or f"there are {listed(point)}"
            raise ValueError(f"a gradient is called {name!r}, but no array is; {hint}")
        gradients[name] = array_of(name, given, point[name].dtype)
        if gradients[name].shape != point[name].shape:
            raise ValueError(f"{name}: the gradient {shapes.mistake(gradients[name].shape, point[name].shape)}")
    return float(loss), gradients


def _noise(
    function: LossAndGradients,
    point: Mapping[str, ndarray],
    gradients: Mapping[str, ndarray],
    random: np.random.Generator,
) -> dict[str, float]:
    """Return how far each gradient moves, absolute, when every number that goes in is rounded once more."""
    noise = dict.fromkeys(gradients, 0.0)
    for _ in range(DRAWS):
        moved = {}
        for name, array in point.items():
            u = np.finfo(array.dtype).eps
            moved[name] = (array * (1 + random.choice((-u, u), array.shape))).astype(array.dtype)
        for name, other in _called(function, moved)[1].items():
            noise[name] = max(noise[name], float(np.abs(other - gradients[name]).max(initial=0.0)))
    return noise


def _derivatives(
    own_loss: Callable[[Mapping[str, ndarray]], Any],
    point: Mapping[str, ndarray],
    name: str,
    random: np.random.Generator,
) -> Partial:
    """Return the derivatives of a loss by elements of one array, as a tensor that is known there."""
    size = point[name].size
    chosen = np.arange(size)
    if size > MOST_ELEMENTS:
        chosen = np.sort(random.choice(size, MOST_ELEMENTS, replace=False))
    noise = noise_of(own_loss, point, name)
    found = [by_differences(own_loss, point, name, int(at), noise) for at in chosen]
    values, errors = np.array([each[0] for each in found]), np.array([each[1] for each in found])
    exact = [by_complex_step(own_loss, point, name, int(at)) for at in chosen]
    if all(each is not None for each in exact):
        by_step = np.array(exact, np.float64)
        agree = np.abs(by_step - values) <= 10 * errors  # a complex step lies where abs or max is on its way
        if agree.all():
            values, errors = by_step, np.zeros_like(errors)
    usable = errors <= LEAST_DIGITS * max(float(np.abs(values[np.isfinite(values)]).max(initial=0.0)), 1e-300)
    if not usable.any():
        raise ValueError(f"{name}: differences of the loss find no derivative; is the loss smooth there?")
    known, whole, half_unit = np.zeros(size, np.bool_), np.zeros(size), np.zeros(size)
    known[chosen[usable]], whole[chosen] = True, values
    half_unit[chosen[usable]] = errors[usable]
    shape = point[name].shape
    # In the array's dtype, in which the noise was measured.
    return Partial(whole.astype(point[name].dtype).reshape(shape), known.reshape(shape), half_unit.reshape(shape))
