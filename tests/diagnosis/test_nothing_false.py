"""Nothing is said that is not so, of random numbers, of pairs that contradict each other, of precision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.false_explanations import falsely_explained
from harness.diagnosis import UNEXPLAINED, InPart, Predictions, diagnose
from harness.diagnosis.faults import faults, suspects_of
from harness.diagnosis.faults.base import contradict
from harness.precision.rounding_noise import rounding_noise
from harness.problem import build

from .conftest import DOT, SOFTMAX, committed, no_weights, predictions_of

ONCE_EXPLAINED = (35, 72, 86, 91, 142, 175, 184, 694)
"""Answers that weights fitted to as many numbers, or a pair, were named for."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "number", [*range(2), *ONCE_EXPLAINED, *(pytest.param(each, marks=pytest.mark.full) for each in range(2, 21))]
)
def test_random_numbers_are_not_explained(number):
    spoilt, returned, found = falsely_explained(number)
    assert found == [], (spoilt, returned)


def block_replaced(array, gate, numbers):
    """The array with the columns of a gate of four replaced."""
    blocks = np.split(array, 4, axis=-1)
    blocks[gate] = numbers
    return np.concatenate(blocks, axis=-1)


@pytest.mark.parametrize("tensor", ["layer0.b_h", "layer1.b_h", "layer0.W_xh"])
@pytest.mark.parametrize("gate", range(4))
def test_the_columns_of_one_gate_are_not_fitted_by_as_many_weights(tensor, gate):
    predictions = predictions_of("lstm")
    right = predictions.truth[tensor]
    noise = np.random.default_rng(gate).normal(size=np.split(right, 4, axis=-1)[gate].shape)
    (found,) = diagnose({**predictions.truth, tensor: block_replaced(right, gate, noise)}, predictions)
    assert found.fault == UNEXPLAINED


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("with_others", [False, True], ids=["alone", "beside a fault"])
def test_a_number_fitted_to_one_number_explains_nothing(dtype, with_others):
    """Any number is a multiple of another, a weight and some of its gradient, a right one and some of the weight."""
    predictions = predictions_of("dot", dtype)
    known = np.array([True, False, False, False, False])
    wrong = dict(predictions.truth)
    wrong["layer0.b_h"] = wrong["layer0.b_h"] + np.where(known, 0.37, 0.0)
    if with_others:
        wrong["layer0.W_hh"] = wrong["layer0.W_hh"].T
    found = diagnose(wrong, predictions, in_part=InPart({"layer0.b_h": known}))
    assert "layer0.b_h" in found[-1].tensors
    assert found[-1].fault == UNEXPLAINED
    assert ("transposed" in [each.fault for each in found]) is with_others


def test_what_explains_most_is_told_with_what_is_left():
    """Two faults of many numbers, and one number that is wrong in a way of its own."""
    predictions = predictions_of("dot")
    names = ("carry-untransposed", "state-before-first-from-end")
    two = [next(suspects_of(faults()[name], predictions.problem)) for name in names]
    wrong = committed(predictions.problem, *two)
    wrong["layer0.b_h"] = wrong["layer0.b_h"] + np.array([0.0, 0.0, 0.61, 0.0, 0.0])
    best, *_, left = diagnose(wrong, predictions)
    assert best.fault == " + ".join(names)
    assert (left.fault, left.tensors) == (UNEXPLAINED, ("layer0.b_h",))
    assert left.tensor not in best.tensors


def test_what_explains_one_tensor_is_said_though_all_others_are_open():
    predictions = predictions_of("dot")
    noise = np.random.default_rng(1)
    wrong = {name: noise.normal(size=array.shape) for name, array in predictions.truth.items()}
    wrong["layer0.b_h"] = 2 * predictions.truth["layer0.b_h"]
    best, left = diagnose(wrong, predictions)
    assert (best.fault, best.tensors) == ("factor", ("layer0.b_h",))
    assert (left.fault, {*left.tensors}) == (UNEXPLAINED, {*wrong} - {"layer0.b_h"})


def test_at_the_first_step_the_state_after_it_stands_for_the_one_before():
    predictions = predictions_of("dot")
    layer = predictions.network.layers[0]
    operand = np.concatenate([layer.cache.after[:1], layer.cache.before[1:]])
    wrong = np.einsum("tbi,tbh->ih", operand, layer.delta)
    best, *others = diagnose({**predictions.truth, "layer0.W_hh": wrong}, predictions)
    assert best.fault == "state-before-first-is-first"
    assert not any("two-steps-before" in each.fault for each in others)


def test_faults_that_put_different_things_in_one_place_contradict_each_other():
    after, earlier, last = (
        faults()[name]
        for name in ("state-after-for-state-before", "state-two-steps-before", "state-before-overwritten")
    )
    assert contradict(after, earlier)
    assert contradict(earlier, last)
    assert not contradict(earlier, faults()["state-before-first-from-end"]), "one index less does both"
    assert not contradict(faults()["carry-missing"], faults()["upstream-twice"])


@pytest.mark.parametrize("seed", range(3))
def test_one_pair_has_one_name(seed):
    """In whatever order its faults are found."""
    predictions = predictions_of("dot")
    names = ["carry-untransposed", "state-before-first-from-end", "input-of-another-step", "upstream-scaled"]
    draw = np.random.default_rng(seed)
    two = [str(name) for name in draw.choice(names, 2, replace=False)]
    told = set()
    for order in (two, two[::-1]):
        suspects = [next(suspects_of(faults()[name], predictions.problem)) for name in order]
        found = diagnose(committed(predictions.problem, *suspects), predictions)
        assert len({frozenset(each.explanation.split(" And: ")) for each in found}) == len(found)
        told.add(found[0].fault)
    assert told == {" + ".join(sorted(two))}


SIGNS = {
    "descent": (lambda W, dW: W - 0.1 * dW, "the weight after a step of SGD, W − 0.1 dW."),
    "ascent": (lambda W, dW: W + 0.1 * dW, "the weight after a step up the gradient, W + 0.1 dW."),
    "decay": (lambda W, dW: dW + 0.1 * W, "the right one + 0.1 W: weight decay."),
    "growth": (lambda W, dW: dW - 0.1 * W, "the right one − 0.1 W."),
}


@pytest.mark.parametrize(("made", "words"), SIGNS.values(), ids=SIGNS)
def test_a_fitted_factor_has_its_sign(made, words):
    predictions = predictions_of("dot")
    wrong = made(predictions.problem.weights["layer0.W_hh"], predictions.truth["layer0.W_hh"])
    found = diagnose({**predictions.truth, "layer0.W_hh": wrong}, predictions)
    assert f"layer0.W_hh is {words}" in [each.explanation for each in found]


def with_tolerance(case, **tolerance):
    problem = build(replace(case, tolerance=tolerance), no_weights)
    return Predictions(problem, rounding_noise(problem))


def test_what_the_case_allows_is_not_off():
    """Outputs that are off by less than the case's tolerance, and one gradient that is doubled."""
    predictions = with_tolerance(DOT, rtol=0.02, atol=0.02)
    wave = {
        name: array * (1 + 1e-3 * np.sin(np.arange(array.size)).reshape(array.shape))
        for name, array in predictions.truth.items()
    }
    assert diagnose(wave, predictions) == []
    best, *_ = diagnose({**wave, "layer0.W_hh": 2 * wave["layer0.W_hh"]}, predictions)
    assert (best.fault, best.tensors) == ("factor", ("layer0.W_hh",))
    assert "2 times" in best.explanation
    assert "outputs" not in best.start
    noise = np.random.default_rng(0).normal(size=wave["layer0.W_hh"].shape)
    (found,) = diagnose({**wave, "layer0.W_hh": wave["layer0.W_hh"] + noise}, predictions)
    assert found.fault == UNEXPLAINED


def test_what_was_judged_a_match_is_not_said_to_be_off():
    predictions = predictions_of("dot")
    outputs, W_hh = predictions.truth["outputs"], predictions.truth["layer0.W_hh"]
    wrong = {**predictions.truth, "outputs": outputs + 1e-3, "layer0.W_hh": W_hh.T}
    found = diagnose(wrong, predictions, matching=["outputs"])
    assert found[0].fault == "transposed"
    assert found[0].start.startswith("the forward pass is right")


@pytest.mark.parametrize("constant", [1e-12, 1e-8])
def test_a_small_constant_is_no_lower_precision(constant):
    """It is added to every pre-activation."""
    problem = predictions_of("dot").problem
    biases = {name: array + constant if name.endswith("b_h") else array for name, array in problem.weights.items()}
    answer = committed(replace(problem, weights=biases))
    (found,) = diagnose(answer, predictions_of("dot"))
    assert found.fault == "constant-added"
    assert f"{constant:g} is added to the argument" in found.explanation


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_numbers_that_have_no_more_digits_than_a_dtype_were_computed_in_it(dtype):
    problem = build(SOFTMAX, no_weights)
    predictions = Predictions(problem, rounding_noise(problem))
    narrow = {name: array.astype(dtype).astype(np.float64) for name, array in predictions.truth.items()}
    (found,) = diagnose(narrow, predictions)
    assert found.fault == "lower-precision"
    assert f"they were computed in {dtype}, or rounded to it" in found.explanation


def test_what_explains_a_part_is_compared_with_nothing_that_explains_the_rest_alone():
    """A fault of the tensor that is left open, put to the one that is named, explains no more than that one alone."""
    predictions = predictions_of("squared-error")
    problem = predictions.problem
    read_backwards = replace(problem, inputs=problem.inputs[:, ::-1].copy())
    other = Predictions(read_backwards, rounding_noise(read_backwards))
    noise = np.random.default_rng(5).normal(size=predictions.truth["layer0.W_xh"].shape)
    wrong = {**other.truth, "layer0.W_xh": noise}
    del wrong["inputs"]
    first, *rest = diagnose(wrong, predictions)
    assert first.fault == "inputs-reversed"
    assert "with this fault" not in first.start
    assert [(each.fault, each.tensors) for each in rest] == [(UNEXPLAINED, ("layer0.W_xh",))]
