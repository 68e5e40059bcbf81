"""The gradient of gated cells from the forward pass alone: many perturbed passes at once are one at a time."""

import numpy as np
import pytest

from reference_impls import complex_step_gated as oracle
from reference_impls.activations import ACTIVATIONS
from reference_impls.losses import ROW_LOSSES, number_of_terms
from reference_impls.truncation import Detach, Window

TRUNCATIONS = [None, Detach(1), Detach(2), Detach(9), Window(0), Window(1), Window(3), Window(9)]


def arguments(problem, width, truncation=None):
    terms = number_of_terms(problem.loss, int(problem.covered.sum()), width) if problem.reduction == "mean" else 1
    return {
        "weights": problem.weights,
        "inputs": problem.inputs,
        "initial_state": problem.initial_state,
        "activation": ACTIVATIONS[problem.activation],
        "row_losses": ROW_LOSSES[problem.loss],
        "targets": problem.targets,
        "covered": problem.covered,
        "terms": terms,
        "truncation": truncation,
    }


def run(problem, cell, width, truncation=None):
    value, outputs, state = oracle.forward(cell.partition(",")[0], **arguments(problem, width, truncation))
    return value, outputs, state, oracle.gradients(state)


@pytest.mark.spread(2)
def test_it_is_the_perturbation_of_one_number_at_a_time(
    net, assert_close, cell, gated_derivations, layers, readout, loss, reduction
):
    problem = net("tanh", loss, reduction, layers, readout, cell=cell)
    value, outputs, _, gradients = run(problem, cell, 5 if readout else 3)
    split = gated_derivations[0]
    assert_close(gradients, problem.complex_step(split), 1e-13)
    expected_value, expected_outputs, _ = problem.solve(split)
    assert value == pytest.approx(float(expected_value), rel=1e-14)
    np.testing.assert_allclose(outputs, expected_outputs, rtol=1e-13, atol=1e-15)


@pytest.mark.spread(2)
@pytest.mark.parametrize("truncation", TRUNCATIONS, ids=str)
def test_truncated_it_is_the_gradient_by_hand(sized_net, assert_close, cell, gated_derivations, readout, truncation):
    problem = sized_net({"T": 5, "H": 2}, reduction="mean", layers=2, readout=readout, steps=[0, 1, 3, 4], cell=cell)
    gradients = run(problem, cell, 5 if readout else 2, truncation)[3]
    for layer in gated_derivations:
        assert_close(gradients, problem.solve(layer, truncation)[2], 1e-13)


@pytest.mark.spread(2)
@pytest.mark.parametrize(
    "sizes", [{"T": 1}, {"B": 1}, {"H": 1}, {"I": 1}, {"B": 1, "T": 1, "I": 1, "H": 1, "O": 1}], ids=str
)
def test_the_smallest_sizes(sized_net, assert_close, cell, gated_derivations, readout, sizes):
    problem = sized_net(sizes, layers=2, readout=readout, cell=cell)
    assert_close(run(problem, cell, None)[3], problem.complex_step(gated_derivations[0]), 1e-13)


@pytest.mark.parametrize("chunk", [1, 100, 10**9])
def test_how_many_passes_are_taken_at_once_changes_nothing(net, assert_close, monkeypatch, cell, chunk):
    problem = net("tanh", layers=2, readout=True, cell=cell)
    expected = run(problem, cell, None)[3]
    monkeypatch.setattr(oracle, "CHUNK", chunk)
    assert_close(run(problem, cell, None)[3], expected, 1e-15)


def test_chosen_elements_are_those_of_the_whole(net, cell):
    problem = net("tanh", layers=2, readout=True, cell=cell)
    _, _, state, whole = run(problem, cell, None)
    rows, columns = np.array([2, 0, 1]), np.array([5, 0, 7])
    for name in ("layer0.W_xh", "layer1.W_hh"):
        np.testing.assert_array_equal(oracle.of_weight(state, name, rows, columns), whole[name][rows, columns])
    np.testing.assert_array_equal(
        oracle.of_weight(state, "layer1.b_h", 0 * rows, columns), whole["layer1.b_h"][columns]
    )
    units = np.array([2, 0])
    for name in problem.initial_state:
        np.testing.assert_array_equal(oracle.of_initial_state(state, name, units), whole[name][:, units])
    steps, inputs = np.array([0, 2]), np.array([3, 1])
    np.testing.assert_array_equal(oracle.of_inputs(state, steps, inputs), whole["inputs"][:, steps, inputs])


@pytest.mark.parametrize("truncation", [None, Detach(2), Window(1)], ids=str)
def test_a_derivative_along_a_direction_is_an_inner_product(net, cell, truncation):
    problem = net("tanh", layers=2, readout=True, cell=cell)
    _, _, state, gradients = run(problem, cell, None, truncation)
    random = np.random.default_rng(1)
    direction = {name: random.normal(size=gradient.shape) for name, gradient in gradients.items()}
    expected = sum((gradients[name] * direction[name]).sum() for name in gradients)
    found = oracle.along(state, direction)
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("cell", "right", "wrong"),
    [
        ("lstm", "_value(SIGMA, f) * c +", "_value(SIGMA, f) * c.real +"),
        ("lstm", "_value(SIGMA, o) * _value(phi, c), c", "_value(SIGMA, o) * c, c"),
        ("gru, reset after", "((1 - z) * n + z * h,)", "((1 - z) * h + z * n,)"),
        ("gru, reset before", "w.product(r * h,", "w.product(h,"),
        ("gru, reset after", "states = tuple(each.real for each in states)", "pass"),
        ("lstm", "+= 1j * STEP * z[", "+= 2j * STEP * z["),
    ],
)
def test_a_mistake_in_it_is_seen(net, changed, assert_close, gated_forms, cell, right, wrong):
    problem = net("tanh", "dot", cell=cell)
    mistaken = changed(oracle, right, wrong)
    _, _, state = mistaken.forward(cell.partition(",")[0], **arguments(problem, None, Detach(2)))
    expected = problem.solve(gated_forms[cell]["split"], Detach(2))[2]
    assert_close(run(problem, cell, None, Detach(2))[3], expected, 1e-13)
    with pytest.raises(AssertionError, match="instead of"):
        assert_close(mistaken.gradients(state), expected, 1e-6)
