"""A network of one layer is explained by the rules of its cell's step where the catalogue has no fault for it."""

import numpy as np
import pytest

import harness
from harness.derive.operations import Einsum
from harness.derive.recording import Recording
from harness.derive.reverse import contribution, gradients
from harness.diagnosis import UNEXPLAINED
from harness.diagnosis.recurrent.layer import canonical_names, layer_of
from harness.problem.reference import solve

CASE = """\
about: One layer, with a readout.
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


CELLS = pytest.mark.parametrize(
    "problem",
    [("rnn", ""), ("lstm", ""), ("gru", "reset: after\n"), ("gru", "reset: before\n")],
    indirect=True,
    ids=["rnn", "lstm", "gru", "gru, reset before"],
)


def answered(problem, contributed):
    """Return the gradients of the network with a changed rule of the step."""
    truth = solve(problem)
    layer = layer_of(problem, truth)
    sequences = layer.sequences
    names = canonical_names(layer)
    found = gradients(Recording(sequences), sequences, contributed)
    return {**truth, **{names[name]: each for name, each in found.items()}}


@CELLS
def test_the_layer_of_a_problem_has_its_gradients(problem):
    truth = solve(problem)
    for name, each in answered(problem, contribution).items():
        np.testing.assert_allclose(each, truth[name], rtol=1e-10, atol=1e-12, err_msg=name)


@CELLS
def test_a_broken_rule_of_the_step_is_named_with_its_line(problem):
    only_sign = answered(
        problem,
        lambda node, k, g: (
            -contribution(node, k, g)
            if isinstance(node.operation, Einsum) and node.parents[k].name == "x"
            else contribution(node, k, g)
        ),
    )
    found = harness.diagnose(only_sign, problem)
    assert found
    assert all(each.fault != UNEXPLAINED for each in found)
    assert all(name == "inputs" or name.startswith(("layer0.", "readout.")) for each in found for name in each.tensors)


@CELLS
def test_random_numbers_stay_unexplained(problem):
    random = np.random.default_rng(0)
    actual = dict(solve(problem))
    for name in ("layer0.W_hh", "inputs"):
        actual[name] = actual[name] + random.normal(size=actual[name].shape)
    assert [each.fault for each in harness.diagnose(actual, problem)] == [UNEXPLAINED]
