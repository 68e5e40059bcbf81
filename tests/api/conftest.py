"""The case of the tests' own folder, and a right answer to its problem."""

import pytest

import harness
from reference_impls import network, rnn_split
from reference_impls.activations import ACTIVATIONS


@pytest.fixture
def case_file(workplace):
    return workplace / "cases" / "small.yaml"


@pytest.fixture
def problem(case_file):
    return harness.load_case(case_file).problem()


def right(problem):
    """Return the full gradient of an rnn, whatever the case truncates."""
    activation = ACTIVATIONS[problem.case.activation]
    passed = network.forward(rnn_split, problem.weights, problem.inputs, problem.initial_state, activation)
    loss, d_outputs = problem.loss(passed.outputs)
    gradients = network.backward(rnn_split, problem.weights, passed, d_outputs)
    return {"loss": loss, "outputs": passed.outputs, **gradients}
