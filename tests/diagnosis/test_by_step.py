"""A network is explained by the rules of its cell's step: in all layers or one, both directions, over padding."""

import numpy as np
import pytest

import harness
from harness.derive.operations import Einsum
from harness.derive.reverse import backward, contribution
from harness.diagnosis import UNEXPLAINED
from harness.diagnosis.recurrent.tracks import taped
from harness.problem.reference import solve

CASE = """\
about: Layers, with a readout.
cell: {cell}
{more}sizes: {{batch: 3, time: 5, input: 4, hidden: 3, output: 2}}
dtype: float64
weights: {{normal: 0.6, seed: 1}}
inputs: {{normal: 1.0, seed: 2}}
initial_state: {{normal: 0.5, seed: 3}}
readout: linear
loss: {{kind: squared_error}}
targets: {{normal: 1.0, seed: 4}}
"""


@pytest.fixture
def problem(tmp_path, request):
    cell, more = request.param
    path = tmp_path / "case.yaml"
    path.write_text(CASE.format(cell=cell, more=more))
    return harness.load_case(path).problem()


NETWORKS = {
    "rnn": ("rnn", ""),
    "lstm": ("lstm", ""),
    "gru": ("gru", "reset: after\n"),
    "gru, reset before": ("gru", "reset: before\n"),
    "two layers of relu": ("rnn", "layers: 2\nactivation: relu\n"),
    "both directions of an lstm": ("lstm", "bidirectional: true\n"),
    "two layers in both directions over padding": (
        "gru",
        "reset: after\nlayers: 2\nbidirectional: true\nlengths: [5, 3, 2]\n",
    ),
    "cut every two steps": ("lstm", "truncation: {kind: detach, every: 2}\n"),
    "a window of two steps": ("rnn", "layers: 2\ntruncation: {kind: window, steps: 2}\n"),
}
CELLS = pytest.mark.parametrize("problem", NETWORKS.values(), indirect=True, ids=NETWORKS)


def answered(problem, contributed):
    """Return the gradients of the network with a changed rule of the step."""
    on_tape = taped(problem.calculation)
    return {**on_tape.answers, **backward(on_tape.graph, on_tape.ends(), contributed)}


@CELLS
def test_the_tape_of_a_network_has_its_gradients(problem):
    truth = solve(problem)
    for name, each in answered(problem, contribution).items():
        np.testing.assert_allclose(each, truth[name], rtol=1e-10, atol=1e-12, err_msg=name)


def with_sign(applies):
    """Return contributions of which the gradient into an input's product has the wrong sign."""
    return lambda node, k, g: (
        -contribution(node, k, g)
        if isinstance(node.operation, Einsum) and k == 0 and applies(node)
        else contribution(node, k, g)
    )


@CELLS
def test_a_broken_rule_of_the_step_is_named_with_its_line(problem):
    actual = answered(problem, with_sign(lambda node: node.parents[1].name.endswith("W_xh")))
    found = harness.diagnose(actual, problem)
    assert found
    assert all(each.fault != UNEXPLAINED for each in found)


@pytest.mark.parametrize(
    "problem",
    [NETWORKS["both directions of an lstm"], NETWORKS["two layers in both directions over padding"]],
    indirect=True,
    ids=["lstm", "gru"],
)
def test_a_rule_broken_in_one_direction_is_named_with_the_direction(problem):
    actual = answered(
        problem, with_sign(lambda node: node.block.endswith(".reverse") and node.parents[1].name.endswith("W_xh"))
    )
    found = harness.diagnose(actual, problem)
    assert found
    assert all(each.fault != UNEXPLAINED for each in found)
    assert "reverse" in found[0].explanation


@CELLS
def test_random_numbers_stay_unexplained(problem):
    random = np.random.default_rng(0)
    actual = dict(solve(problem))
    for name in ("layer0.W_hh", "inputs"):
        actual[name] = actual[name] + random.normal(size=actual[name].shape)
    assert [each.fault for each in harness.diagnose(actual, problem)] == [UNEXPLAINED]
