"""Gradients held against the implementation's own forward pass: of cells that no case can declare."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import harness as api
from harness.candidate.check.own import held_against
from harness.candidate.own_forward import NoOwnLoss, own_derivatives
from harness.problem import build
from tests.diagnosis.conftest import DOT, LSTM, SOFTMAX, no_weights
from tests.diagnosis.plain import lstm, rnn

ONE_LSTM = build(replace(LSTM, layers=1), no_weights)
TANH = build(replace(SOFTMAX, activation="tanh"), no_weights)


def own(function, problem):
    return held_against(own_derivatives(api.implementation("mine")(function), problem))


def wrong(comparison):
    return {each.tensor for each in comparison.disagreements}


RIGHT = {
    "the case's own": (lstm, {}),
    "a peephole": (lstm, {"peephole": 0.7}),
    "no tanh at the output": (lstm, {"squash": lambda c: c}),
    "a constant": (rnn, {"added": 0.3}),
}


@pytest.mark.parametrize(("function", "made"), RIGHT.values(), ids=RIGHT)
def test_right_gradients_of_any_forward_pass_match(function, made):
    problem = ONE_LSTM if function is lstm else TANH
    found = own(lambda given: function(given, **made), problem)
    assert found.matches, wrong(found)
    assert len(found.tensors) == (7 if function is rnn else 5)


WRONG = {
    "a peephole": {"peephole": 0.7, "through_peephole": False},
    "nothing carried": {"carried": False},
    "nothing carried through a peephole": {"carried": False, "peephole": 0.7},
    "the slope of a tanh that is not there": {"squash": lambda c: c, "slope_g": lambda g, c: 1 - c**2 + 0 * g},
}


@pytest.mark.parametrize("made", WRONG.values(), ids=WRONG)
def test_wrong_gradients_of_any_forward_pass_are_seen_and_the_readout_is_right(made):
    found = own(lambda given: lstm(given, **made), ONE_LSTM)
    assert wrong(found) == {"layer0.W_xh", "layer0.W_hh", "layer0.b_h"}


@pytest.mark.parametrize("tensor", ["layer0.W_xh", "layer0.b_h", "inputs", "layer0.h0", "readout.b_y"])
def test_one_wrong_element_of_one_tensor_is_seen(tensor):
    def function(given):
        found = rnn(given)
        found[tensor].reshape(-1)[1] *= 1.0001
        return found

    assert wrong(own(function, TANH)) == {tensor}


def test_a_function_of_real_numbers_alone_is_differentiated_by_differences():
    def function(given):
        assert not any(np.iscomplexobj(each) for each in given.arrays.values())
        return rnn(given)

    assert own(function, TANH).matches
    assert wrong(own(lambda given: {**function(given), "layer0.b_h": 1.001 * rnn(given)["layer0.b_h"]}, TANH)) == {
        "layer0.b_h"
    }


def test_a_function_that_drops_imaginary_parts_is_differentiated_by_differences():
    def real(given):
        arrays = {name: each.real for name, each in given.weights.items()}
        states = {name: each.real for name, each in given.initial_state.items()}
        return rnn(replace(given, weights=arrays, initial_state=states, inputs=given.inputs.real))

    assert own(real, TANH).matches


def test_code_in_float32_is_judged_as_float32():
    def function(given):
        found = rnn(given.as_dtype(np.float32))
        return {name: np.asarray(each, np.float32) for name, each in found.items()}

    assert own(function, TANH).matches
    doubled = own(lambda given: {**function(given), "layer0.W_hh": 2 * function(given)["layer0.W_hh"]}, TANH)
    assert wrong(doubled) == {"layer0.W_hh"}


def test_outputs_stand_for_a_loss_that_was_not_returned():
    without = build(DOT, no_weights)
    assert own(lambda given: {n: a for n, a in rnn(given).items() if n != "loss"}, without).matches


def test_it_is_the_same_each_time():
    one, other = (own_derivatives(api.implementation("mine")(rnn), TANH) for _ in range(2))
    assert all(np.array_equal(each, other[name]) for name, each in one.items())


def test_what_has_no_own_loss_says_so():
    count = iter(range(1000))
    for function, words in (
        (lambda given: {"layer0.b_h": rnn(given)["layer0.b_h"]}, "neither a loss nor outputs"),
        (lambda given: {**rnn(given), "loss": np.asarray(float(next(count)))}, "two losses"),
        (lambda given: {**rnn(given), "loss": np.asarray(np.nan)}, "no finite number"),
    ):
        with pytest.raises(NoOwnLoss, match=words):
            own_derivatives(api.implementation("mine")(function), TANH)


PAGE = Path(__file__).parents[2] / "docs" / "another-cell.md"


@pytest.fixture
def seeing(tmp_path):
    text = PAGE.read_text(encoding="utf-8")
    code = text.partition("<!-- file: seeing.py -->\n```python\n")[2].partition("\n```")[0]
    path = tmp_path / "seeing.py"
    path.write_text(code + "\n", encoding="utf-8")
    return path


@pytest.mark.slow
def test_the_command_line_judges_by_the_own_loss_alone(harness, seeing, tmp_path):
    case = "cells/lstm[layers=1,dtype=float64]"
    options = ["--baseline", "own", "--out", str(tmp_path / "report"), "--json"]
    found = harness("check", str(seeing), case, *options)
    assert found.returncode == 1
    assert {row["verdict"] for row in json.loads(found.stdout)["results"]} == {"mismatch"}
    seeing.write_text(seeing.read_text(encoding="utf-8").replace("dc * f  #", "dc * f + 0.5 * df  #"), encoding="utf-8")
    found = harness("check", str(seeing), case, *options)
    assert found.returncode == 0
    assert (tmp_path / "report" / "index.html").exists()
    shown = harness("check", str(seeing), case, "--out", str(tmp_path / "report"))
    assert shown.returncode == 1
    assert "Your gradients are right for your own forward pass" in shown.stdout.replace("\n    ", " ")
    rows = (tmp_path / "report" / "diagnoses.csv").read_text(encoding="utf-8")
    assert "own-forward-pass" in rows
