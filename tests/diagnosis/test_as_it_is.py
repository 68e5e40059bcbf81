"""A diagnosis names the fault itself: not two that undo each other, nor one of a loss that was not returned."""

from __future__ import annotations

import numpy as np
import pytest

from harness.candidate.check.first import diagnosis_lines
from harness.diagnosis import NOT_FINITE, UNEXPLAINED, diagnose
from harness.diagnosis.committing import suspects_of, with_forward_pass
from harness.diagnosis.evidence import gather
from harness.diagnosis.explanation import SWAPPED
from harness.diagnosis.faults import faults
from harness.diagnosis.parts import Explanation, ExplanationPart, Settled
from harness.diagnosis.search import Search

from .conftest import CASES, WRAPPED, committed, predictions_of


def plain_rnn(problem, forward, back, gradient):
    """One tanh layer, plainly written, with W_hh transposed in the forward pass, on the way back, in its gradient."""
    W_xh, W_hh, b_h = (problem.weights[f"layer0.{name}"] for name in ("W_xh", "W_hh", "b_h"))
    x = problem.inputs
    states = [problem.initial_state["layer0.h0"]]
    for t in range(x.shape[1]):
        states.append(np.tanh(x[:, t] @ W_xh + states[-1] @ (W_hh.T if forward else W_hh) + b_h))
    outputs = np.stack(states[1:], axis=1)
    loss, d_outputs = problem.loss(outputs)
    dW_xh, dW_hh, db_h, d_x = (np.zeros_like(each) for each in (W_xh, W_hh, b_h, x))
    carried = np.zeros_like(states[0])
    for t in reversed(range(x.shape[1])):
        delta = (d_outputs[:, t] + carried) * (1 - states[t + 1] ** 2)
        dW_xh += x[:, t].T @ delta
        dW_hh += states[t].T @ delta
        db_h += delta.sum(axis=0)
        d_x[:, t] = delta @ W_xh.T
        carried = delta @ (W_hh if back else W_hh.T)
    own = {"W_xh": dW_xh, "W_hh": dW_hh.T if gradient else dW_hh, "b_h": db_h, "h0": carried}
    return {**{f"layer0.{name}": each for name, each in own.items()}, "inputs": d_x, "loss": loss, "outputs": outputs}


@pytest.mark.parametrize(
    ("back", "gradient", "words"),
    [
        (
            False,
            False,
            "In the forward pass alone, while the backward pass is that of the case: W_hh is used transposed.",
        ),
        (True, True, "W_hh is used transposed, forward and backward."),
        (True, False, "W_hh is used transposed, forward and backward; its gradient is not transposed back."),
    ],
    ids=["original backward pass", "its own backward pass", "gradient of the transpose"],
)
def test_a_transposed_matrix_in_the_forward_pass_is_one_fault(back, gradient, words):
    predictions = predictions_of("dot")
    best, *others = diagnose(plain_rnn(predictions.problem, True, back, gradient), predictions)
    assert best.explanation == words
    assert not any(" + " in each.fault for each in others)
    assert diagnose(plain_rnn(predictions.problem, False, False, False), predictions) == []


def forward_faults():
    seen = set()
    for case in ("squared-error", "square", "dot", "lstm-detached", "gru-after", "gru-before", *WRAPPED):
        problem = predictions_of(case).problem
        for name, fault in faults().items():
            if fault.alters_forward and name != "forward-alone":
                for suspect in list(suspects_of(fault, problem))[:1]:
                    marks = [pytest.mark.full] if name in seen else []
                    seen.add(name)
                    yield pytest.param(case, suspect, id=f"{case}-{name}", marks=marks)


@pytest.mark.slow
@pytest.mark.parametrize(("case", "suspect"), list(forward_faults()))
def test_another_forward_pass_alone_is_never_two_faults(case, suspect):
    predictions = predictions_of(case)
    answer = dict(with_forward_pass(predictions.network, suspect))
    for found in diagnose(answer, predictions):
        assert " + " not in found.fault, found


def test_faults_that_undo_each_other_explain_nothing():
    predictions = predictions_of("dot")
    names = ("recurrent-weights-transposed", "carry-untransposed", "initial-state-without-weights")
    forward, undoing, other = (next(suspects_of(faults()[name], predictions.problem)) for name in names)
    wrong = committed(predictions.problem, forward)
    search = Search(gather(wrong, predictions.truth, predictions.noise, dtype="float64"), predictions)

    def together(*suspects):
        return Explanation((Settled(tuple(ExplanationPart(each.name, "", suspect=each) for each in suspects), {}),))

    assert search.undoes_itself(together(forward, undoing))
    assert search.undoes_itself(together(other, forward, undoing))
    assert not search.undoes_itself(together(forward, other))
    assert not search.undoes_itself(together(undoing, other))


LOSS_FAULTS = ("squared-error-halved", "loss-scaled", "loss-of-all-steps", "loss-of-last-step")


@pytest.mark.parametrize("factor", [0.5, -1.0, 2.0])
def test_nothing_is_said_of_a_loss_that_was_not_returned(factor):
    predictions = predictions_of("squared-error")
    gradients = {name: factor * each for name, each in predictions.truth.items() if name not in ("loss", "outputs")}
    for answer in (gradients, {**gradients, "outputs": predictions.truth["outputs"]}):
        best, *others = diagnose(answer, predictions)
        assert best.fault == "upstream-scaled"
        assert best.explanation.startswith("Every gradient is ")
        assert not any("loss" in each.explanation or each.fault in LOSS_FAULTS for each in (best, *others))


def test_of_a_loss_that_was_returned_it_is_said():
    predictions = predictions_of("squared-error")
    halved = {name: each / 2 for name, each in predictions.truth.items()}
    halved["outputs"] = predictions.truth["outputs"]
    assert diagnose(halved, predictions)[0].fault == "loss-scaled"
    assert diagnose({**halved, "loss": predictions.truth["loss"]}, predictions)[0].fault == "squared-error-halved"


@pytest.mark.parametrize("case", [*CASES, *WRAPPED])
def test_every_fault_of_the_loss_speaks_of_gradients_without_one(case):
    """A fault that changes the value of the loss and not the outputs is of the loss."""
    predictions = predictions_of(case)
    for each in predictions.singles(in_one_layer=False):
        (suspect,) = each.suspects
        if "loss" in each.changed and "outputs" not in each.changed:
            assert not suspect.explanation_without_loss.startswith(("The loss", "The mean of the loss")), suspect


SWAPS = {
    "states": ("lstm", {"layer0.h0": "layer0.c0"}, "The gradients of layer0.h0 and layer0.c0 are swapped."),
    "states of both": (
        "lstm",
        {"layer0.h0": "layer0.c0", "layer1.h0": "layer1.c0"},
        "The gradients of h0 and c0 are swapped in each of layer0, layer1.",
    ),
    "layers": (
        "squared-error",
        {f"layer0.{kind}": f"layer1.{kind}" for kind in ("W_hh", "b_h", "h0")},
        "The gradients of layer0 and layer1 are swapped: W_hh, b_h, h0.",
    ),
    "directions": (
        "unequal",
        {f"layer0.{kind}": f"layer0.reverse.{kind}" for kind in ("W_xh", "W_hh", "b_h", "h0", "c0")},
        "The gradients of layer0 and layer0.reverse are swapped: W_xh, W_hh, b_h, h0, c0.",
    ),
    "one of each direction": (
        "unequal",
        {"layer0.b_h": "layer0.reverse.b_h"},
        "The gradients of layer0.b_h and layer0.reverse.b_h are swapped.",
    ),
    "halves": (
        "square",
        {"layer0.W_xh": "layer0.W_hh"},
        "The gradients of layer0.W_xh and layer0.W_hh are swapped.",
    ),
}


@pytest.mark.parametrize(("case", "swapped", "words"), SWAPS.values(), ids=SWAPS)
def test_a_swap_is_one_fault(case, swapped, words):
    predictions = predictions_of(case)
    both = {**swapped, **{other: name for name, other in swapped.items()}}
    answer = {name: predictions.truth[both.get(name, name)] for name in predictions.truth}
    best = diagnose(answer, predictions)[0]
    assert (best.fault, best.explanation) == (SWAPPED, words)
    one = next(iter(swapped))
    alone = diagnose({**predictions.truth, one: answer[one]}, predictions)
    assert SWAPPED not in [each.fault for each in alone]


def test_the_biases_of_a_candidate_are_swapped():
    predictions = predictions_of("gru-after")
    right = predictions.truth
    others, candidate = np.split(right["layer0.b_h"], [8])
    answer = {**right, "layer0.b_h": np.concatenate([others, right["layer0.b_hn"]]), "layer0.b_hn": candidate}
    best = diagnose(answer, predictions)[0]
    assert best.fault == SWAPPED
    assert "of layer0.b_hn and of the candidate's block of layer0.b_h" in best.explanation


def test_a_swap_beside_another_fault():
    predictions = predictions_of("lstm")
    (suspect, *_) = suspects_of(faults()["readout-state-of-step-before"], predictions.problem)
    answer = committed(predictions.problem, suspect)
    answer["layer0.h0"], answer["layer0.c0"] = answer["layer0.c0"], answer["layer0.h0"]
    best = diagnose(answer, predictions)[0]
    assert set(best.fault.split(" + ")) == {SWAPPED, "readout-state-of-step-before"}


def test_two_gates_are_swapped():
    predictions = predictions_of("lstm")
    i, f, g, o = np.split(predictions.truth["layer0.W_hh"], 4, axis=1)
    answer = {**predictions.truth, "layer0.W_hh": np.concatenate([f, i, g, o], axis=1)}
    assert "the right one with its gates i and f swapped" in diagnose(answer, predictions)[0].explanation


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda b: np.stack([b] * 2), "is the right one repeated 2 times along a new axis, axis 0"),
        (lambda b: np.stack([b] * 4, axis=1), "is the right one repeated 4 times along a new axis, axis 1"),
        (lambda b: np.broadcast_to(b, (3, 5, *b.shape)), "is the right one repeated along 2 new axes in front"),
        (lambda b: np.concatenate([b] * 3), "is the right one repeated 3 times along axis 0, as a whole"),
        (lambda b: np.repeat(b, 2), "is the right one repeated 2 times along axis 0, index by index"),
        (lambda b: np.stack([b / 2] * 2), "is no sum, mean, repetition or slice"),
    ],
)
def test_a_tensor_that_is_repeated_is_no_sum_left_out(made, words):
    predictions = predictions_of("squared-error")
    (found,) = diagnose({**predictions.truth, "layer0.b_h": made(predictions.truth["layer0.b_h"])}, predictions)
    assert found.fault == "wrong-shape"
    assert words in found.explanation


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (-np.inf, "infinity")])
def test_it_is_said_where_a_number_is_not_finite_and_the_rest_is_explained(value, word):
    predictions = predictions_of("squared-error")
    right = predictions.truth
    whole = {**right, "layer0.b_h": np.full_like(right["layer0.b_h"], value)}
    (alone,) = diagnose(whole, predictions)
    assert alone.fault == NOT_FINITE
    assert alone.explanation == (
        f"layer0.b_h has {word} in 6 of 6 elements, first at [0] (counted from 0). These elements are not compared."
    )
    part = right["layer1.W_hh"].T.copy()
    part[2, 3] = value
    where, fault, *_ = diagnose({**whole, "layer1.W_hh": part}, predictions)
    assert f"layer1.W_hh has {word} in 1 of 36 elements, first at [2, 3]" in where.explanation
    assert (fault.fault, fault.tensors) == ("transposed", ("layer1.W_hh",))
    noise = np.random.default_rng(3).normal(size=part.shape)
    where, left = diagnose({**whole, "layer1.W_hh": noise}, predictions)
    assert (where.fault, left.fault, left.tensors) == (NOT_FINITE, UNEXPLAINED, ("layer1.W_hh",))


def test_a_fault_of_all_tensors_is_named_where_one_is_not_finite():
    predictions = predictions_of("dot")
    suspect = next(suspects_of(faults()["carry-untransposed"], predictions.problem))
    answer = committed(predictions.problem, suspect)
    answer["layer0.b_h"] = answer["layer0.b_h"] * np.nan
    where, best, *_ = diagnose(answer, predictions)
    assert (where.fault, best.fault) == (NOT_FINITE, "carry-untransposed")


@pytest.mark.parametrize("case", ["lstm", "lstm-detached", "gru-after"])
def test_gates_that_are_stacked_in_another_order_are_one_fault(case):
    predictions = predictions_of(case)
    suspect = next(suspects_of(faults()["gates-stacked-in-another-order"], predictions.problem))
    best = diagnose(committed(predictions.problem, suspect), predictions)[0]
    assert (best.fault, best.explanation) == (suspect.name, suspect.explanation)


def test_on_the_page_numbers_that_are_not_finite_stand_beside_an_explanation_of_the_same_tensor():
    predictions = predictions_of("squared-error")
    spoilt = predictions.truth["layer0.W_hh"].T.copy()
    spoilt[1, 2] = np.nan
    page = "\n".join(diagnosis_lines(diagnose({**predictions.truth, "layer0.W_hh": spoilt}, predictions)))
    assert "Likely cause: not-finite" in page
    assert "Another cause: transposed" in page
    assert "cannot tell it from: transposed" not in page
