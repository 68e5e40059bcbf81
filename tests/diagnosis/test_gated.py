"""Gated cells: where a fault begins, which gates' columns are off, and wrong cells written without the parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.case import Sizes
from harness.diagnosis import UNEXPLAINED, Predictions, diagnose
from harness.diagnosis.faults import faults, suspects_of
from harness.implementations import implementations
from harness.precision.rounding_noise import rounding_noise
from harness.problem import build
from harness.result import run

from .conftest import GRU_AFTER, GRU_BEFORE, LSTM, LSTM_DETACHED, committed, no_weights, predictions_of

WIDE = replace(LSTM_DETACHED, truncation="none", sizes=Sizes(batch=1, time=5, input=4, hidden=6))


def prepared(case):
    problem = build(case, no_weights)
    return Predictions(problem, rounding_noise(problem))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "name", "layer", "where"),
    [
        ("lstm", "forget-gate-with-another-factor", 1, "in layer 1 at step 3 (counted from 0), in the forget gate"),
        (
            "lstm",
            "cell-not-carried",
            0,
            "in layer 0 at step 2 (counted from 0), in the input gate, the forget gate and",
        ),
        (
            "gru-after",
            "direct-path-missing",
            None,
            "in layer 0 at step 3 (counted from 0), in every gate",
        ),
        (
            "gru-before",
            "update-gate-with-another-factor",
            None,
            "in layer 0 at step 4 (counted from 0), in the update gate",
        ),
    ],
)
def test_the_layer_the_step_and_the_gates_where_a_fault_begins_are_told(case, name, layer, where):
    predictions = predictions_of(case)
    suspect = next(s for s in suspects_of(faults()[name], predictions.problem) if s.layer == layer)
    found = diagnose(committed(predictions.problem, suspect), predictions)
    assert found[0].fault == name
    assert f"with this fault the recursion is first off {where}" in found[0].start, found[0].start


def test_a_fault_of_a_sum_begins_nowhere_in_the_recursion():
    predictions = predictions_of("gru-before")
    suspect = next(suspects_of(faults()["state-after-for-state-before"], predictions.problem))
    found = diagnose(committed(predictions.problem, suspect), predictions)
    assert found[0].fault == "state-after-for-state-before"
    assert "recursion" not in found[0].start


@pytest.mark.slow
@pytest.mark.parametrize("gate", ["i", "f", "g", "o"])
def test_the_gate_in_which_unexplained_numbers_begin_is_told_where_they_prove_it(gate):
    """δ of one gate is wrong at the step before the last, and of all gates at the steps before it."""
    predictions = prepared(WIDE)
    layer = predictions.network.layers[0]
    noise = np.random.default_rng(3)
    delta = layer.delta + 0.3 * noise.normal(size=layer.delta.shape)
    delta[4] = layer.delta[4]
    right = layer.delta[3].copy()
    layer.block(right, gate)[...] = layer.block(delta[3], gate)
    delta[3] = right
    wrong = {f"layer0.{name}": each for name, each in layer.of_weights(delta).items()}
    inputs = layer.of_inputs(delta, delta).swapaxes(0, 1)
    found = diagnose({**predictions.truth, **wrong, "inputs": inputs}, predictions)
    words = {"i": "the input gate", "f": "the forget gate", "g": "the candidate", "o": "the output gate"}
    assert found[0].fault == UNEXPLAINED
    assert f"at step 3 (counted from 0), in {words[gate]}; at later steps" in found[0].start


@pytest.mark.parametrize(("gate", "words"), [("f", "the forget gate"), ("o", "the output gate")])
def test_step_weights_of_one_gate_are_solved_for(gate, words):
    predictions = prepared(WIDE)
    layer = predictions.network.layers[0]
    delta = layer.delta.copy()
    layer.block(delta, gate)[2] *= 2
    wrong = {f"layer0.{name}": each for name, each in layer.of_weights(delta).items()}
    found = diagnose({**predictions.truth, **wrong}, predictions)
    assert found[0].fault == "step-weights"
    assert f"step 2 counted twice (counted from 0), in the columns of {words}" in found[0].explanation
    assert f"in the columns of {words}" in found[0].start


@pytest.mark.parametrize("case", [replace(LSTM, loss=replace(LSTM.loss, steps="all")), GRU_AFTER, GRU_BEFORE])
@pytest.mark.parametrize("truncation", [{"kind": "detach", "every": 2}, {"kind": "window", "steps": 1}])
def test_a_truncated_gradient_of_a_gated_cell_is_named(case, truncation):
    answer = run(implementations()["numpy-concat"], build(replace(case, truncation=truncation), no_weights)).tensors
    predictions = predictions_of({"two": "lstm", "one": f"gru-{case.reset}"}[case.name.split()[0]])
    if case.cell == "lstm":
        predictions = prepared(case)
    best = diagnose(dict(answer), predictions)[0]
    assert best.declare.replace(" ", "") == f"truncation:{truncation}".replace("'", "").replace(" ", "")


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def lstm_by_hand(problem, *, cell_of_forget_gate=0, keeps_cell=True, tanh_again=False, order="ifgo"):
    """One lstm layer as it is written gate by gate, in loops; each argument is a mistake that people publish."""
    x, weights, given = problem.inputs, problem.weights, problem.initial_state
    W_xh, W_hh, b_h = (weights[f"layer0.{name}"] for name in ("W_xh", "W_hh", "b_h"))
    h, c = given["layer0.h0"], given["layer0.c0"]
    hs, cs, gates = [h], [c], []
    for t in range(x.shape[1]):
        parts = np.split(x[:, t] @ W_xh + h @ W_hh + b_h, 4, axis=1)
        a = {gate: parts[order.index(gate)] for gate in "ifgo"}
        i, f, g, o = sigmoid(a["i"]), sigmoid(a["f"]), np.tanh(a["g"]), sigmoid(a["o"])
        c = f * c + i * g
        h = o * np.tanh(c)
        hs.append(h)
        cs.append(c)
        gates.append((i, f, g, o))
    loss, d_outputs = problem.loss(np.stack(hs[1:], axis=1))
    dW_xh, dW_hh, db_h, d_x = (np.zeros_like(each) for each in (W_xh, W_hh, b_h, x))
    d_state, d_cell = np.zeros_like(h), np.zeros_like(c)
    for t in reversed(range(x.shape[1])):
        i, f, g, o = gates[t]
        d_state = d_state + d_outputs[:, t]
        squashed = np.tanh(cs[t + 1])
        slope = 1 - (np.tanh(squashed) if tanh_again else squashed) ** 2
        d_cell = (d_cell if keeps_cell else 0) + d_state * o * slope
        of = {
            "i": d_cell * g * i * (1 - i),
            "f": d_cell * cs[t + cell_of_forget_gate] * f * (1 - f),
            "g": d_cell * i * (1 - g**2),
            "o": d_state * squashed * o * (1 - o),
        }
        delta = np.concatenate([of[gate] for gate in order], axis=1)
        dW_xh += x[:, t].T @ delta
        dW_hh += hs[t].T @ delta
        db_h += delta.sum(axis=0)
        d_x[:, t] = delta @ W_xh.T
        d_state, d_cell = delta @ W_hh.T, d_cell * f
    states = {"layer0.h0": d_state, "layer0.c0": d_cell}
    of_weights = {"layer0.W_xh": dW_xh, "layer0.W_hh": dW_hh, "layer0.b_h": db_h}
    return {"loss": loss, "outputs": np.stack(hs[1:], axis=1), "inputs": d_x, **of_weights, **states}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mistake", "names"),
    [
        ({}, []),
        ({"cell_of_forget_gate": 1}, ["forget-gate-with-another-factor"]),
        ({"keeps_cell": False}, ["cell-replaced"]),
        ({"tanh_again": True}, ["slope-of-the-value"]),
        ({"order": "igfo"}, ["gates-read-in-another-order"]),
        ({"cell_of_forget_gate": 1, "tanh_again": True}, ["forget-gate-with-another-factor", "slope-of-the-value"]),
    ],
    ids=["right", "c_t for the one before", "dc overwritten", "tanh of tanh", "another order", "two"],
)
def test_an_lstm_that_was_not_made_of_the_parts_is_named(mistake, names):
    predictions = prepared(replace(WIDE, sizes=Sizes(batch=2, time=5, input=3, hidden=4)))
    found = diagnose(lstm_by_hand(predictions.problem, **mistake), predictions)
    assert [each.fault.split(" + ") for each in found[:1]] == ([names] if names else [])
