"""Any network in ball arithmetic: the reference itself, run on arrays of balls.

``reference_impls`` runs unchanged on NumPy arrays of objects. This module adds the nonlinearities alone; all other
operations of the cells are sums and products, which NumPy passes to the intervals. It is slower than ``layers``, whose
products are matrices of intervals. It shares the reference's formulas, so it proves only that they were computed right.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from flint import arb
from numpy import ndarray

from harness.precision.intervals.layers import ACTIVATIONS
from harness.precision.intervals.losses import loss_and_gradient
from harness.precision.intervals.tensors import in_shape, time_first, to_balls
from harness.problem import Problem
from harness.problem.reference import activations_of, backward, forward
from reference_impls.activations import ACTIVATIONS as OF_FLOATS
from reference_impls.activations import Activation


def solve(problem: Problem) -> dict[str, ndarray]:
    """Compute loss, outputs and every gradient.

    Args:
        problem: The problem, in the split layout.

    Returns:
        Arrays of intervals by canonical name, each of its canonical shape.
    """
    loss = problem.case.loss
    in_balls = replace(
        problem,
        weights={name: _balls(array) for name, array in problem.weights.items()},
        inputs=_balls(problem.inputs),
        initial_state={name: _balls(array) for name, array in problem.initial_state.items()},
    )
    passed = forward(in_balls, activations_of(problem, _of_balls))
    B, T, O = problem.structure.outputs
    flat = time_first(passed.outputs).reshape(-1).tolist()  # T·B·O
    value, d_flat = loss_and_gradient(loss.kind, loss.reduction, flat, problem.targets, problem.covered)
    d_outputs = in_shape(d_flat, (T, B, O)).swapaxes(0, 1)  # (B, T, O)
    gradients = backward(in_balls, passed, d_outputs)
    found = {"loss": in_shape([value], ()), "outputs": passed.outputs, **gradients}
    # An element to which no interval was added is still NumPy's zero, an int.
    return {name: in_shape([arb(each) for each in tensor.reshape(-1)], tensor.shape) for name, tensor in found.items()}


def _balls(array: ndarray) -> ndarray:
    return in_shape(to_balls(array), array.shape)


def _of_balls(name: str) -> Activation:
    function = np.frompyfunc(lambda a: ACTIVATIONS[name](a)[0], 1, 1)

    def value(a: ndarray, out: ndarray) -> ndarray:
        out[...] = function(a)
        return out

    return Activation(value, _relu_slope if name == "relu" else OF_FLOATS[name].slope_at_value)


def _relu_slope(h: ndarray) -> ndarray:
    # relu refuses an interval that contains zero, so none is among these.
    return (h > 0).astype(int).astype(object)
