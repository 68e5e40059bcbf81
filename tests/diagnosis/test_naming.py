"""Wrong numbers are named: every fault, in each dtype, alone and in pairs, and numbers known in part."""

from __future__ import annotations

import random

import numpy as np
import pytest

from harness.diagnosis import UNEXPLAINED, InPart, diagnose
from harness.diagnosis.faults import faults, suspects_of
from harness.diagnosis.tensor_faults import TENSOR_FAULTS, Subject

from .conftest import CASES, GATED, committed, predictions_of, problem_of


def shown(case, dtype):
    """Every suspect that shows on a case; of a gated one those that all layers have."""
    return [each.suspects[0] for each in predictions_of(case, dtype).singles(in_one_layer=case not in GATED)]


MOST_VARIANTS = {"lstm": 1, "lstm-detached": 2, "gru-after": 3, "gru-before": 3}
"""Maximum number of ways of a fault that a test tries."""


KINDS = {
    "plain": [(case, "float64") for case in CASES if case not in GATED],
    "gated": [(case, "float64") for case in GATED],
    "float32": [("squared-error", "float32"), ("dot", "float32")],
}


SHOWN_ELSEWHERE = {"relu-slope-at-kink", "overflowing-exponential"}
"""Faults that no number of these cases shows."""


def suspects_on(case, dtype, name):
    own = [each for each in shown(case, dtype) if each.name == name and each.layer is None]
    return random.Random(f"{case} {name}").sample(own, min(len(own), MOST_VARIANTS.get(case, len(own))))


def assert_named(case, dtype, suspects):
    """Each fault is first, or stands beside others that give the same numbers on this case."""
    predictions = predictions_of(case, dtype)
    for suspect in suspects:
        name = suspect.name
        found = diagnose(committed(predictions.problem, suspect), predictions)
        assert name in [each.fault for each in found], (suspect.parameters, str(found[0]))
        if case in GATED:  # the gate, too
            assert any(suspect.explanation in each.explanation for each in found), (suspect.explanation, str(found[0]))
        told = next(each for each in found if each.fault == name)
        assert told.residual <= 1e-4 if dtype == "float32" else told.residual <= 1e-12
        if found[0].fault != name:  # then the two cannot be told apart
            assert found[0].residual <= 100 * max(told.residual, 2e-16)


@pytest.mark.parametrize("name", faults())
def test_a_fault_is_named_on_one_case_of_each_kind(name):
    shows = False
    for cases in KINDS.values():
        for case, dtype in random.Random(name).sample(cases, len(cases)):
            if suspects := suspects_on(case, dtype, name):
                assert_named(case, dtype, suspects)
                shows = True
                break
    possible = any(next(suspects_of(faults()[name], problem_of(case)), None) for case in CASES)
    assert shows == (possible and name not in SHOWN_ELSEWHERE)


@pytest.mark.full
@pytest.mark.parametrize(("case", "dtype"), [each for cases in KINDS.values() for each in cases])
@pytest.mark.parametrize("name", faults())
def test_a_fault_is_named_on_each_case(name, case, dtype):
    assert_named(case, dtype, suspects_on(case, dtype, name))


@pytest.mark.slow
def test_a_fault_in_one_layer_is_placed_there():
    predictions = predictions_of("squared-error")
    placed = total = 0
    for suspect in shown("squared-error", "float64"):
        if suspect.layer is not None:
            found = diagnose(committed(predictions.problem, suspect), predictions)
            total += 1
            placed += any(
                each.fault == suspect.name and f"In layer {suspect.layer}" in each.explanation for each in found
            )
    assert placed >= 0.9 * total > 50


@pytest.mark.spread(1)
@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", TENSOR_FAULTS)
def test_a_fault_of_one_tensor_is_named(name, dtype):
    predictions = predictions_of("lstm" if name.startswith("gate") else "square", dtype)
    named = total = 0
    for tensor, right in predictions.truth.items():
        if tensor == "loss":
            continue
        for candidate in TENSOR_FAULTS[name][1](Subject(tensor, predictions.truth, predictions.problem)):
            if (np.abs(candidate.predicted - right) > 4 * predictions.bounds[tensor]).any():
                spoilt = {**predictions.truth, tensor: candidate.predicted}
                found = diagnose({n: np.array(t, dtype) for n, t in spoilt.items()}, predictions)
                total += 1
                named += any(each.fault == name for each in found)
                assert found[0].tensors == (tensor,)
    assert named >= 0.9 * total > 0, (named, total)


LEAST_OF_PAIRS = {"windowed": 0.75}
"""The share that must be named. In a window each try takes as many passes as there are lags, and fewer can be made."""


PAIRED = (
    *("dot", "windowed", "gru-after"),
    *(pytest.param(case, marks=pytest.mark.full) for case in ("softmax", "square", "lstm-detached", "gru-before")),
)
"""The smallest case of each kind, since a test draws many pairs; the benchmark takes them on all cases."""


@pytest.mark.slow
@pytest.mark.parametrize("case", PAIRED)
def test_two_faults_at_once_are_named(case):
    predictions = predictions_of(case)
    draw = random.Random(case)
    by_name = {}
    for suspect in shown(case, "float64"):
        if suspect.layer is None:
            by_name.setdefault(suspect.name, suspect)
    named = total = 0
    for _ in range(24):
        two = [by_name[name] for name in draw.sample(sorted(by_name), 2)]
        together = predictions.predict(tuple(two)).changed
        if any(_alike(together, predictions.predict((one,)).changed) for one in two):
            continue
        found = diagnose(committed(predictions.problem, *two), predictions)
        total += 1
        named += any(set(each.fault.split(" + ")) == {one.name for one in two} for each in found)
    assert named >= LEAST_OF_PAIRS.get(case, 0.85) * total > 10, (named, total)


def _alike(a, b):
    return a.keys() == b.keys() and all(np.allclose(a[name], b[name], rtol=1e-9, atol=1e-12) for name in a)


@pytest.mark.parametrize("scaling", ["loss-scaled", "upstream-scaled"])
def test_a_factor_on_another_fault_is_on_the_loss_or_not(scaling):
    predictions = predictions_of("squared-error")
    two = [next(suspects_of(faults()[name], predictions.problem)) for name in ("carry-untransposed", scaling)]
    found = diagnose(committed(predictions.problem, *two), predictions)
    assert set(found[0].fault.split(" + ")) == {"carry-untransposed", scaling}


def test_a_factor_on_all_that_was_returned_is_told_as_that_before_what_is_rarer():
    """One gradient alone, twice as large: a constant of the problem explains it as well as one that is fitted."""
    predictions = predictions_of("dot")
    best, *others = diagnose({"layer0.W_hh": 2 * predictions.truth["layer0.W_hh"]}, predictions)
    assert best.fault == "factor"
    assert "2 times" in best.explanation
    assert "upstream-scaled" in [each.fault for each in others]


def test_who_forgets_what_is_carried_is_told_so_before_that_it_is_a_truncation():
    predictions = predictions_of("dot")
    suspect = next(suspects_of(faults()["carry-not-added"], predictions.problem))
    best, *others = diagnose(committed(predictions.problem, suspect), predictions)
    assert best.fault == "carry-not-added"
    assert best.declare == "truncation: {kind: detach, every: 1}"
    assert "detached-at-every-step" in [each.fault for each in others]


def test_three_faults_of_three_tensors_are_settled_one_by_one():
    predictions = predictions_of("dot")
    names = ("initial-state-without-weights", "state-before-first-from-end", "input-of-another-step")
    suspects = [next(suspects_of(faults()[name], predictions.problem)) for name in names]
    found = diagnose(committed(predictions.problem, *suspects), predictions)
    assert set(found[0].fault.split(" + ")) == set(names)


def test_one_printed_row_is_enough():
    """As in a book: one row of one matrix, to six digits."""
    predictions = predictions_of("dot")
    suspect = next(suspects_of(faults()["state-before-first-from-end"], predictions.problem))
    wrong = committed(predictions.problem, suspect)["layer0.W_hh"]
    known = np.zeros(wrong.shape, bool)
    known[1] = True
    printed = np.where(known, np.round(wrong, 6), 0.0)
    found = diagnose(
        {"layer0.W_hh": printed},
        predictions,
        in_part=InPart({"layer0.W_hh": known}, {"layer0.W_hh": np.full(wrong.shape, 0.5e-6)}),
    )
    assert found[0].fault == "state-before-first-from-end"
    assert found[0].residual < 1e-6


def test_numbers_that_say_too_little_are_not_explained():
    """One number to one digit fits many a fault by chance."""
    predictions = predictions_of("dot")
    wrong = predictions.truth["layer0.W_hh"].copy()
    known = np.zeros(wrong.shape, bool)
    known[0, 0] = True
    wrong[0, 0] += 0.7
    found = diagnose(
        {"layer0.W_hh": np.round(wrong, 1)},
        predictions,
        in_part=InPart({"layer0.W_hh": known}, {"layer0.W_hh": np.full(wrong.shape, 0.05)}),
    )
    assert [each.fault for each in found] == [UNEXPLAINED]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "seed"),
    [
        pytest.param(case, seed, marks=[pytest.mark.full] if seed else [])
        for case in CASES
        for seed in range(5 if case not in GATED else 2)
    ],
)
def test_noise_is_not_explained(case, seed):
    predictions = predictions_of(case)
    noise = np.random.default_rng(seed)
    garbage = {name: noise.normal(size=np.shape(tensor)) for name, tensor in predictions.truth.items()}
    found = diagnose(garbage, predictions)
    assert [each.fault for each in found] == [UNEXPLAINED]
    assert "first wrong output" in found[0].explanation


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_the_right_answer_has_no_diagnosis(case, dtype):
    assert diagnose(committed(problem_of(case, dtype)), predictions_of(case, dtype)) == []


def test_a_narrower_dtype_is_recognised():
    in_float32 = committed(problem_of("dot", "float32"))
    widened = {name: tensor.astype(np.float64) for name, tensor in in_float32.items()}
    found = diagnose(widened, predictions_of("dot"))
    assert found[0].fault == "lower-precision"
    assert "float32" in found[0].explanation
