"""Screening lets nothing pass that a run would call wrong."""

from dataclasses import replace

import numpy as np
import pytest

from harness.execution.session import Judgement, compare_for
from harness.fuzz.candidates import Drawing, case_of, default_implementations
from harness.fuzz.confirming import _wrong as wrong_of
from harness.fuzz.screening import Noises, screened, surely_agrees
from harness.implementations import Promise, implementation, implementations
from harness.precision.rounding_noise import rounding_noise
from harness.problem import build
from harness.problem.reference import solve
from harness.training import run

DRAWING = Drawing(21)
BASELINE = implementations()["numpy-split"]


def results(count):
    for number in range(count):
        problem = build(DRAWING.of(number), None)
        yield problem, run(BASELINE, problem)


def test_whoever_surely_agrees_matches():
    random, agreed = np.random.default_rng(1), 0
    for problem, expected in results(15):
        if problem.case.training != "none":
            continue
        for name, tensor in expected.gradients.items():
            scale = 10.0 ** random.uniform(-17, -2)
            moved = tensor + (scale * random.standard_normal(tensor.shape)).astype(tensor.dtype)
            actual = replace(expected, gradients={**expected.gradients, name: moved})
            if surely_agrees(actual, expected):
                agreed += 1
                noise = rounding_noise(problem)
                assert compare_for(problem, actual, expected, noise, Promise(complete=True), "none").matches
    assert agreed > 10


@pytest.mark.parametrize(
    "change",
    [
        lambda tensor: tensor * np.nan,
        lambda tensor: tensor + np.inf,
        lambda tensor: tensor[..., None],
        lambda tensor: tensor.astype(np.float16),
        lambda tensor: tensor * 1.001 + 1e-3,
    ],
    ids=["nan", "infinite", "shape", "dtype", "off"],
)
def test_what_is_wrong_never_surely_agrees(change):
    for _, expected in results(6):
        for name, tensor in expected.gradients.items():
            actual = replace(expected, gradients={**expected.gradients, name: change(tensor)})
            assert not surely_agrees(actual, expected)
        without = {name: each for name, each in expected.gradients.items() if name != "inputs"}
        assert not surely_agrees(replace(expected, gradients=without), expected)


def test_a_result_that_is_not_finite_on_both_sides_does_not_surely_agree():
    for _, expected in results(5):
        broken = replace(expected, loss=expected.loss * np.nan)
        assert not surely_agrees(broken, broken)


def test_the_first_noise_is_no_larger_than_the_whole():
    for problem, _ in results(8):
        little, whole = Noises(problem)
        assert all(little[name] <= whole[name] for name in little)


def test_suspects_are_those_who_are_wrong_or_fail():
    @implementation("wrong", complete=True)
    def wrong(problem):
        found = solve(problem)
        return {**found, "inputs": found["inputs"] * 1.5} if problem.structure.layers == 2 else found

    @implementation("failing", complete=True)
    def failing(problem):
        if problem.structure.layers == 3:
            raise ZeroDivisionError
        return solve(problem)

    found = screened(DRAWING, range(60), BASELINE, [BASELINE, wrong, failing], "numpy")
    layers = {number: DRAWING.of(number).layers for number in range(60)}
    assert {number for number, name in found.suspects if name == "failing"} == {n for n in layers if layers[n] == 3}
    wrong_on = {number for number, name in found.suspects if name == "wrong"}
    assert wrong_on <= {n for n in layers if layers[n] == 2}
    assert len(wrong_on) > 5
    assert found.compared == {"wrong": 60, "failing": 60}


def test_weights_of_another_process_are_left_to_it():
    drawing = Drawing(21, frameworks=("torch",))
    found = screened(drawing, range(60), BASELINE, [implementations()["numpy-concat"]], "numpy")
    native = [n for n in range(60) if isinstance(drawing.of(n).weights, dict) and "from" in drawing.of(n).weights]
    assert found.elsewhere == native != []


def test_unless_told_otherwise_a_search_is_for_all_that_claim_to_be_right():
    names = {each.name for each in default_implementations()}
    assert names >= {"numpy-split", "numpy-concat", "torch", "torch-cell", "complex-step"}
    assert not names & {"torch-clamp", "published", "keras", "tf1"}


def test_what_overflows_in_both_is_no_finding_and_what_overflows_in_one_is():
    """Found by ``harness fuzz --seed 400``: a linear training that diverges within three steps, in float32."""
    data = {
        "activation": "identity",
        "layers": 3,
        "sizes": {"batch": 1, "time": 1, "input": 1, "hidden": 2, "output": 1},
        "dtype": "float32",
        "weights": "ones",
        "readout": "linear",
        "training": {"steps": 3, "optimizer": {"sgd": {"lr": 0.05}}},
    }
    problem = build(case_of(data, "diverging"), None)
    expected = run(BASELINE, problem)
    assert not np.isfinite(expected.training["training.loss"]).all()

    def wrong(actual):
        comparison = compare_for(problem, actual, expected, {}, Promise(complete=True))
        return wrong_of(Judgement("mine", "ok", comparison.verdict, comparison=comparison))

    assert not compare_for(problem, expected, expected, {}, Promise(complete=True)).matches
    assert wrong(expected) is None
    finite = {name: np.nan_to_num(tensor, posinf=1.0) for name, tensor in expected.training.items()}
    assert wrong(replace(expected, training=finite)) is not None
    outputs = expected.outputs * np.float32(2)
    assert wrong(replace(expected, outputs=outputs)) is not None
