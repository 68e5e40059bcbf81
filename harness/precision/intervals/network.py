"""The whole network in ball arithmetic: layers, readout and loss, forward and backward, at the precision in force.

An rnn in one direction with sequences of equal length is computed here and in ``layers``, everything else in ``gated``.
"""

from __future__ import annotations

import numpy as np
from flint import arb, arb_mat
from numpy import ndarray

from harness.precision.intervals import gated, layers
from harness.precision.intervals.losses import loss_and_gradient
from harness.precision.intervals.tensors import in_shape, time_first, to_balls, to_matrix
from harness.problem import Problem
from reference_impls.truncation import passes


def in_matrices(problem: Problem) -> bool:
    """Return whether a problem's products are matrices of intervals."""
    return problem.structure.cell == "rnn" and problem.structure.directions == 1 and problem.lengths is None


def solve(problem: Problem) -> dict[str, ndarray]:
    """Compute loss, outputs and every gradient.

    Args:
        problem: The problem, in the split layout.

    Returns:
        Arrays of intervals by canonical name, each of its canonical shape.

    Raises:
        UndecidedError: If the precision is too low to decide on which side of relu's kink a pre-activation is.
    """
    case, structure = problem.case, problem.structure
    if not in_matrices(problem):
        return gated.solve(problem)
    B, T, I, H = structure.batch, structure.time, structure.input, structure.hidden
    weights = problem.weights
    activation = layers.ACTIVATIONS[case.activation]

    x = to_matrix(time_first(problem.inputs).reshape(T * B, I))  # (T·B, I)
    passed: list[layers.Passed] = []
    matrices: list[tuple[arb_mat, arb_mat]] = []
    for block in structure.blocks:
        W_xh, W_hh = to_matrix(weights[f"{block}.W_xh"]), to_matrix(weights[f"{block}.W_hh"])  # (I, H), (H, H)
        h0, b_h = to_balls(problem.initial_state[f"{block}.h0"]), to_balls(weights[f"{block}.b_h"])  # B·H, H
        passed.append(layers.forward(x, h0, W_xh, W_hh, b_h, B, activation))
        matrices.append((W_xh, W_hh))
        x = arb_mat(T * B, H, passed[-1].states)  # (T·B, H)

    found: dict[str, ndarray] = {}
    outputs: list[arb] = passed[-1].states  # T·B·H
    if structure.output is not None:
        W_hy, b_y = to_matrix(weights["readout.W_hy"]), to_balls(weights["readout.b_y"])  # (H, O), O
        outputs = [y + b for y, b in zip((x * W_hy).entries(), b_y * (T * B), strict=True)]  # T·B·O
    loss, d_outputs = loss_and_gradient(case.loss.kind, case.loss.reduction, outputs, problem.targets, problem.covered)
    O = structure.outputs[2]
    found["loss"] = in_shape([loss], ())
    found["outputs"] = in_shape(outputs, (T, B, O)).swapaxes(0, 1)  # (B, T, O)

    d_states = d_outputs  # T·B·H
    if structure.output is not None:
        d_y = arb_mat(T * B, O, d_outputs)  # (T·B, O)
        found["readout.W_hy"] = in_shape((x.transpose() * d_y).entries(), (H, O))
        found["readout.b_y"] = in_shape(layers.sum_of_rows(d_y), (O,))
        d_states = (d_y * W_hy.transpose()).entries()  # T·B·H
    for chunks, counted in passes(problem.truncation, T):
        starts = {first for first, _ in chunks if first > 0}
        of_steps = np.repeat(counted, B * H).tolist()  # T·B·H: whether the step's loss counts
        d_below = [d if counts else layers.ZERO for d, counts in zip(d_states, of_steps, strict=True)]  # T·B·H
        for n, block in reversed(list(enumerate(structure.blocks))):
            d_x, d_h0, gradients = layers.backward(passed[n], d_below, *matrices[n], B, starts)
            for name, each in gradients.items():
                _add(found, f"{block}.{name}", in_shape(each, structure.weights[f"{block}.{name}"]))
            _add(found, f"{block}.h0", in_shape(d_h0, (B, H)))
            d_below = d_x.entries()  # T·B·H, or T·B·I below the first layer
        _add(found, "inputs", in_shape(d_below, (T, B, I)).swapaxes(0, 1))  # (B, T, I)
    return found


def _add(found: dict[str, ndarray], name: str, gradient: ndarray) -> None:
    found[name] = found[name] + gradient if name in found else gradient
