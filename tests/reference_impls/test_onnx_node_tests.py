"""The tests that the onnx package ships of its RNN, GRU and LSTM nodes, run through the hand-written forward passes."""

from importlib import import_module

import numpy as np
import pytest

from harness.layout import layouts
from harness.problem.reference import layer_of
from harness.tensors import GATES, STATES, Structure
from reference_impls import network
from reference_impls.activations import ACTIVATIONS

CELLS = {"RNN": "rnn", "GRU": "gru", "LSTM": "lstm"}
KINDS = ("defaults", "with_initial_bias", "batchwise", "reverse", "bidirectional")
NAMES = (
    *(f"test_{node}_{kind}" for node in ("simple_rnn", "gru", "lstm") for kind in KINDS),
    "test_rnn_seq_length",
    "test_gru_seq_length",
)
PEEPHOLES = "test_lstm_with_peepholes"
"""The node test of gates that see the cell, which the lstm here does not have."""


@pytest.fixture(scope="module")
def node_tests():
    """Collecting them takes a second or two, so it is done when they are run."""
    from onnx.backend.test.case import node

    for cell in CELLS.values():
        import_module(f"{node.__name__}.{cell}")
    return {each.name: each for each in node._NodeTestCases if each.model.graph.node[0].op_type in CELLS}


class NodeTest:
    """One of them: its node, what it is given and what it should return, by ONNX's names."""

    def __init__(self, shipped):
        from onnx import helper

        (self.node,) = shipped.model.graph.node
        self.attributes = {each.name: helper.get_attribute_value(each) for each in self.node.attribute}
        ((inputs, outputs),) = shipped.data_sets
        self.given = dict(zip(self.named(self.node.input, "XWRB"), inputs, strict=True))
        self.expected = dict(zip(self.named(self.node.output, ("Y", "Y_h", "Y_c")), outputs, strict=True))
        self.is_batch_first = self.attributes.get("layout", 0) == 1
        self.direction = self.attributes.get("direction", b"forward").decode()

    @staticmethod
    def named(present, places):
        """Return the places of the arrays that have a name."""
        return [place for name, place in zip(present, places, strict=False) if name]

    @property
    def inputs(self):
        """(B, T, I), in the order in which the steps are run."""
        X = self.given["X"] if self.is_batch_first else self.given["X"].swapaxes(0, 1)
        return X[:, ::-1] if self.direction == "reverse" else X

    @property
    def structure(self):
        (B, T, I), H = self.inputs.shape, self.attributes["hidden_size"]
        reset = "after" if self.attributes.get("linear_before_reset", 0) else "before"
        directions = 2 if self.direction == "bidirectional" else 1
        return Structure(CELLS[self.node.op_type], 1, B, T, I, H, None, reset, directions)

    @property
    def weights(self):
        """Canonical ones; without a bias it is zero."""
        weights = {f"layer0.{name}": self.given[name] for name in "WRB" if name in self.given}
        D, rows, _ = self.given["W"].shape
        return layouts()["onnx"].to_canonical(
            {"layer0.B": np.zeros((D, 2 * rows), np.float32)} | weights, self.structure
        )

    def solved(self, form, weights):
        """Return the answer of the hand-written layer, under ONNX's names and in its shapes."""
        structure = self.structure
        own = layouts()[form].from_canonical(weights, structure)
        state = {name: np.zeros(shape, np.float32) for name, shape in structure.initial_state.items()}
        passed = network.forward(layer_of(structure, form), own, self.inputs, state, ACTIVATIONS["tanh"])
        B, T, _ = structure.outputs
        Y = passed.outputs.reshape(B, T, structure.directions, structure.hidden)  # (B, T, D, H)
        Y = Y[:, ::-1] if self.direction == "reverse" else Y
        names = ("Y_h", "Y_c")[: len(STATES[structure.cell])]
        last = np.array(passed.caches[0].last).reshape(structure.directions, len(names), B, structure.hidden)
        ended = {name: last[:, k] for k, name in enumerate(names)}  # (D, B, H) each
        if self.is_batch_first:
            return {"Y": Y} | {name: each.swapaxes(0, 1) for name, each in ended.items()}
        return {"Y": Y.transpose(1, 2, 0, 3)} | ended


def assert_as_expected(actual, expected):
    assert expected
    for name, array in expected.items():
        assert actual[name].shape == array.shape, name
        assert actual[name].dtype == array.dtype == np.float32
        atol = 16 * np.finfo(np.float32).eps * np.abs(array).max()
        np.testing.assert_allclose(actual[name], array, rtol=0, atol=atol, err_msg=name)


@pytest.mark.framework("onnx")
def test_these_are_all_that_there_are(node_tests):
    assert set(node_tests) == {*NAMES, PEEPHOLES}
    assert [place for place in node_tests[PEEPHOLES].model.graph.node[0].input if place][-1] == "P"


@pytest.mark.framework("onnx")
@pytest.mark.parametrize("form", ["split", "concatenated"])
@pytest.mark.parametrize("name", NAMES)
def test_a_node_test_passes(node_tests, name, form):
    test = NodeTest(node_tests[name])
    assert_as_expected(test.solved(form, test.weights), test.expected)


def input_weights_off(weights, gates):
    """A hundredth more."""
    del gates
    return weights | {"layer0.W_xh": weights["layer0.W_xh"] * np.float32(1.01)}


def recurrent_weights_off(weights, gates):
    """A hundredth more."""
    del gates
    return weights | {"layer0.W_hh": weights["layer0.W_hh"] * np.float32(1.01)}


def gates_swapped(weights, gates):
    """The first two of them."""
    order = (1, 0, *range(2, gates)) if gates > 1 else (0,)
    return {
        name: array if name.endswith("b_hn") else np.concatenate([np.split(array, gates, -1)[k] for k in order], -1)
        for name, array in weights.items()
    }


STEPS = {f"test_{each}" for each in ("simple_rnn_reverse", "gru_reverse", "lstm_reverse", "gru_bidirectional")}
"""With more than one step, so that the recurrent weights do something, and tanh not at its end."""


@pytest.mark.framework("onnx")
@pytest.mark.parametrize(
    ("mistake", "seen_by"),
    [
        (input_weights_off, {*NAMES} - {"test_simple_rnn_bidirectional"}),
        (recurrent_weights_off, {*STEPS, "test_lstm_bidirectional", "test_gru_seq_length"}),
        (gates_swapped, {"test_gru_seq_length"}),
    ],
    ids=["input weights", "recurrent weights", "gates"],
)
def test_a_wrong_forward_pass_fails_the_node_tests_that_can_see_it(node_tests, mistake, seen_by):
    """Most of them have one step, and the same weights in every gate."""
    drawn = "test_rnn_seq_length"  # its numbers are, so large that tanh may hide everything
    failed = set()
    for name in NAMES:
        test = NodeTest(node_tests[name])
        try:
            assert_as_expected(test.solved("split", mistake(test.weights, GATES[test.structure.cell])), test.expected)
        except AssertionError:
            failed.add(name)
    assert failed - {drawn} == seen_by - {drawn}
