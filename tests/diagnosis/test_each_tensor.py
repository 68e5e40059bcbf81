"""Each tensor gets its explanation: an unknown fault in one does not silence what explains the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.diagnosis import UNEXPLAINED, InPart, Predictions, diagnose
from harness.precision.rounding_noise import rounding_noise
from harness.problem import build

from .conftest import LSTM, SOFTMAX, no_weights, predictions_of
from .plain import carried_untransposed, lstm, rnn

pytestmark = pytest.mark.slow


def prepared(case, **changed):
    problem = build(replace(case, **changed), no_weights)
    return Predictions(problem, rounding_noise(problem))


ONE_LSTM = replace(LSTM, name="one lstm layer", layers=1)
TANH = replace(SOFTMAX, name="one tanh layer, softmax cross-entropy", activation="tanh")


def by_tensor(found):
    return {name: each.fault for each in reversed(found) for name in each.tensors}


UNKNOWN = {
    "b_h": ("layer0.b_h", lambda g: g * np.arange(1.0, 1 + g.size)),
    "inputs": ("inputs", lambda g: np.sin(7 * g)),
    "W_xh": ("layer0.W_xh", lambda g: np.cumsum(g, 0) + g**2),
}


@pytest.mark.parametrize(("name", "change"), UNKNOWN.values(), ids=UNKNOWN)
def test_an_unknown_fault_of_one_tensor_leaves_the_others_explained(name, change):
    predictions = predictions_of("dot")
    answer = rnn(predictions.problem, carry=carried_untransposed)
    answer[name] = change(answer[name])
    found = diagnose(answer, predictions)
    wrong = {"layer0.W_xh", "layer0.W_hh", "layer0.b_h", "layer0.h0", "inputs"}
    assert by_tensor(found) == {**dict.fromkeys(wrong, "carry-untransposed"), name: UNEXPLAINED}
    assert found[-1].explanation.startswith(f"unexplained: {name}; the forward pass is right; first wrong gradient")


def test_two_unknown_faults_leave_one_tensor_explained():
    predictions = predictions_of("dot")
    answer = rnn(predictions.problem, carry=carried_untransposed)
    for name, change in UNKNOWN.values():
        answer[name] = change(answer[name])
    found = by_tensor(diagnose(answer, predictions))
    assert {name for name, fault in found.items() if fault == "carry-untransposed"} == {"layer0.W_hh", "layer0.h0"}
    assert {name for name, fault in found.items() if fault == UNEXPLAINED} == {name for name, _ in UNKNOWN.values()}


def test_random_numbers_beside_a_fault_are_not_explained():
    predictions = predictions_of("dot")
    answer = rnn(predictions.problem, carry=carried_untransposed)
    for name in ("layer0.b_h", "inputs"):
        answer[name] = np.random.default_rng(3).normal(size=answer[name].shape)
    found = by_tensor(diagnose(answer, predictions))
    assert found["layer0.b_h"] == found["inputs"] == UNEXPLAINED
    assert found["layer0.W_hh"] == "carry-untransposed"


def test_it_works_on_one_row_of_one_tensor():
    predictions = predictions_of("dot")
    answer = {"layer0.W_xh": rnn(predictions.problem, carry=carried_untransposed)["layer0.W_xh"]}
    known = np.zeros(answer["layer0.W_xh"].shape, bool)
    known[1] = True
    best = diagnose(answer, predictions, in_part=InPart(known={"layer0.W_xh": known}))[0]
    assert best.fault == "carry-untransposed"


def test_gates_that_one_fault_explains_are_said_apart_from_the_gate_that_it_does_not():
    """Nothing is carried, and the input gate's slope is of no rule."""
    predictions = prepared(ONE_LSTM)
    problem = predictions.problem
    answer = lstm(problem, carried=False, slope_i=lambda i: np.sin(5 * i))
    best, *_, left = diagnose(answer, predictions)
    assert best.fault in ("carry-missing", "detached-at-every-step")
    assert left.fault == UNEXPLAINED
    assert "in the columns of the input gate" in left.start


@pytest.mark.slow
def test_a_fault_of_one_gate_is_found_on_top_of_another():
    predictions = prepared(ONE_LSTM)
    found = diagnose(lstm(predictions.problem, carried=False, slope_g=lambda _, c: 1 - c**2), predictions)
    assert set(found[0].fault.split(" + ")) == {"carry-missing", "slope-at-cell"}
    assert UNEXPLAINED not in by_tensor(found).values()


@pytest.mark.parametrize("carried", ["δ_t", "dh_t"])
def test_a_carry_without_weights_is_named(carried):
    predictions = predictions_of("dot")

    def carry(d_h, d_a, W_hh):
        del W_hh
        return d_a if carried == "δ_t" else d_h

    best = diagnose(rnn(predictions.problem, carry=carry), predictions)[0]
    assert (best.fault, carried in best.explanation) == ("carry-without-weights", True)


def test_a_slope_that_divides_is_named():
    predictions = predictions_of("dot")
    best = diagnose(rnn(predictions.problem, slope=lambda h: 1 / (1 - h**2)), predictions)[0]
    assert best.fault == "slope-divided"


def test_gates_that_are_copies_of_another_are_named():
    predictions = prepared(ONE_LSTM)
    right = predictions.truth["layer0.b_h"]
    i, f, g, o = np.split(right, 4)
    for blocks, words in (
        ((f, f, g, f), "gate i has the block of gate f and gate o has the block of gate f"),
        ((g, f, g, o), "gate i has the block of gate g"),
        ((i, i, g, o), "gate f has the block of gate i"),
    ):
        best = diagnose({**predictions.truth, "layer0.b_h": np.concatenate(blocks)}, predictions)[0]
        assert (best.fault, words in best.explanation) == ("gate-of-another", True)
    random = np.random.default_rng(1).normal(size=o.shape)
    (found,) = diagnose({**predictions.truth, "layer0.b_h": np.concatenate([f, f, g, random])}, predictions)
    assert found.fault == UNEXPLAINED


CLIPPED = {
    "right": ({}, {"clipped-norm"}),
    "a fault": ({"carry": carried_untransposed}, {"clipped-norm", "carry-untransposed"}),
    "another": ({"slope": lambda h: 1 + 0 * h}, {"clipped-norm", "slope-missing"}),
}


@pytest.mark.parametrize("limit", [0.25, 1.0])
@pytest.mark.parametrize(("made", "named"), CLIPPED.values(), ids=CLIPPED)
def test_gradients_scaled_to_a_norm_are_named_with_the_fault_besides(made, named, limit):
    predictions = prepared(TANH)
    answer = rnn(predictions.problem, **made)
    weights = [name for name in answer if name in predictions.problem.weights]
    norm = np.sqrt(sum((answer[name] ** 2).sum() for name in weights))
    answer = {name: answer[name] * limit / (norm + 1e-6) if name in weights else answer[name] for name in answer}
    for name in ("inputs", "layer0.h0"):
        del answer[name]
    best = diagnose(answer, predictions)[0]
    assert set(best.fault.split(" + ")) == named
    assert f"scaled to a norm of {limit:g}" in best.explanation


@pytest.mark.parametrize("limit", [0.5, 1.0])
def test_gradients_clipped_by_value_are_named_with_the_fault_besides(limit):
    predictions = prepared(TANH)
    answer = rnn(predictions.problem, carry=carried_untransposed)
    largest = max(np.abs(answer[name]).max() for name in predictions.problem.weights)
    cut = {n: np.clip(a, -limit * largest / 2, limit * largest / 2) for n, a in answer.items()}
    best = diagnose({**cut, "loss": answer["loss"], "outputs": answer["outputs"]}, predictions)[0]
    assert set(best.fault.split(" + ")) == {"carry-untransposed", "clipped"}


CONSTANTS = {
    "right": ({}, {"constant-added"}),
    "a fault": ({"carry": carried_untransposed}, {"constant-added", "carry-untransposed"}),
    "another": ({"slope": lambda h: 1 + 0 * h}, {"constant-added", "slope-missing"}),
}


@pytest.mark.parametrize("constant", [1e-12, 1e-10, 1e-8])
@pytest.mark.parametrize(("made", "named"), CONSTANTS.values(), ids=CONSTANTS)
def test_a_small_constant_is_named_and_the_backward_pass_diagnosed_around_it(made, named, constant):
    predictions = prepared(TANH)
    best, *others = diagnose(rnn(predictions.problem, added=constant, **made), predictions)
    assert set(best.fault.split(" + ")) == named
    assert f"{constant:g} is added to the argument" in best.explanation
    assert UNEXPLAINED not in [each.fault for each in others]


def softmax_loss(problem, outputs, *, in_log=0.0, in_sum=0.0):
    e = np.exp(outputs - outputs.max(-1, keepdims=True))
    p = e / (e.sum(-1, keepdims=True) + in_sum)
    labelled = np.take_along_axis(p, problem.targets[:, :, None], -1)[:, :, 0]
    one_hot = np.eye(outputs.shape[-1])[problem.targets]
    terms = labelled.size if problem.case.loss.reduction == "mean" else 1
    return np.asarray(-np.log(labelled + in_log).sum() / terms), (p - one_hot) / terms


@pytest.mark.parametrize(("place", "words"), [("in_log", "under the logarithm"), ("in_sum", "of the softmax")])
def test_a_constant_in_the_loss_is_named(place, words, monkeypatch):
    predictions = prepared(TANH)
    problem = predictions.problem
    monkeypatch.setattr(type(problem), "loss", lambda self, y: softmax_loss(self, y, **{place: 1e-10}))
    answer = rnn(problem, carry=carried_untransposed)
    monkeypatch.undo()
    best = diagnose(answer, predictions)[0]
    assert set(best.fault.split(" + ")) == {"constant-added", "carry-untransposed"}
    assert words in best.explanation


def bfloat16(array):
    bits = np.asarray(array, np.float32).view(np.uint32)
    return ((bits + 0x8000) & np.uint32(0xFFFF0000)).view(np.float32).astype(np.float64)


PRECISIONS = {
    "float32": lambda array: np.asarray(array).astype(np.float32).astype(np.float64),
    "float16": lambda array: np.asarray(array).astype(np.float16).astype(np.float64),
    "bfloat16": bfloat16,
}


@pytest.mark.parametrize(("name", "rounded"), PRECISIONS.items(), ids=PRECISIONS)
def test_a_fault_is_named_at_the_precision_that_the_numbers_have(name, rounded):
    predictions = prepared(TANH)
    wrong = rnn(predictions.problem, carry=carried_untransposed)
    best = diagnose({n: rounded(each) for n, each in wrong.items()}, predictions)[0]
    assert best.fault == "carry-untransposed"
    assert best.start.startswith(f"the numbers have the digits of {name}")
    right = diagnose({n: rounded(each) for n, each in rnn(predictions.problem).items()}, predictions)
    assert [each.fault for each in right] == ["lower-precision"]
    assert name in right[0].explanation
    noise = np.random.default_rng(0).normal(size=wrong["layer0.W_hh"].shape)
    found = diagnose({n: rounded(each) for n, each in {**wrong, "layer0.W_hh": noise}.items()}, predictions)
    assert by_tensor(found)["layer0.W_hh"] == UNEXPLAINED


def test_a_loss_of_few_digits_beside_outputs_of_few_digits_is_no_fault():
    predictions = prepared(TANH)
    answer = {name: each.astype(np.float32) for name, each in rnn(predictions.problem).items() if name != "loss"}
    loss = np.float64(np.float32(predictions.truth["loss"]))
    (found,) = diagnose({**answer, "loss": np.asarray(loss)}, predictions)
    assert (found.fault, found.tensors) == ("lower-precision", ("loss",))
