"""Implementations that differ on purpose differ in that alone, and refuse what they cannot run."""

from dataclasses import replace

import numpy as np
import pytest

from harness.case import Loss, Sizes, ValidCase
from harness.execution.session import compare_for
from harness.implementations import Promise, implementations
from harness.precision.rounding_noise import rounding_noise
from harness.problem import build
from harness.result import run

NUMBERS = {"normal": 1.0, "seed": 3}
FIELDS = {
    "torch-clamp": {"activation": "relu"},
    "torch-maximum": {"activation": "relu"},
    "torch-gru-ported": {"cell": "gru", "reset": "before"},
}


def problem_of(**fields):
    case = ValidCase(
        name="small",
        file="small",
        layers=2,
        sizes=Sizes(2, 4, 3, 5, 6),
        readout="linear",
        inputs=NUMBERS,
        initial_state=NUMBERS,
        loss=Loss("squared_error", "all", "mean"),
        targets=NUMBERS,
        **{"weights": {"uniform": (-0.9, 0.9), "seed": 1}, **fields},
    )
    return build(case, None)


def answer(workers, name, problem):
    outcome = workers.run(implementations()[name], problem)
    assert outcome.status == "ok", outcome.reason
    return outcome.result


def compared(problem, actual, expected):
    return compare_for(problem, actual, expected, rounding_noise(problem), Promise(complete=True))


@pytest.mark.framework
@pytest.mark.parametrize("name", ["torch-clamp", "torch-maximum"])
def test_a_relu_is_a_relu_where_nothing_is_zero(workers, name):
    problem = problem_of(activation="relu")
    comparison = compared(problem, answer(workers, name, problem), run(implementations()["numpy-split"], problem))
    assert comparison.matches, str(comparison)
    assert not any("kink" in each.reason for each in comparison.tensors)


@pytest.mark.framework
@pytest.mark.parametrize(("name", "slope"), [("torch-clamp", "1"), ("torch-maximum", "0.5")])
def test_a_relu_has_its_own_slope_at_zero(workers, name, slope):
    problem = problem_of(activation="relu", weights={"readout.W_hy": NUMBERS, "default": "zeros"})
    comparison = compared(problem, answer(workers, name, problem), run(implementations()["numpy-split"], problem))
    assert any(f"takes slope {slope} where the baseline takes 0" in each.reason for each in comparison.tensors)


@pytest.mark.framework
def test_a_ported_gru_is_the_one_with_its_reset_after(workers):
    before = problem_of(cell="gru", reset="before")
    biases = {f"{block}.b_hn": np.zeros(5) for block in before.structure.blocks}
    after = replace(before, case=replace(before.case, reset="after"), weights={**before.weights, **biases})
    ported = answer(workers, "torch-gru-ported", before)
    expected = run(implementations()["numpy-split"], after)
    known = replace(expected, gradients={n: g for n, g in expected.gradients.items() if n not in biases})
    assert compared(after, ported, known).matches
    assert compared(before, ported, run(implementations()["numpy-split"], before)).verdict == "mismatch"


@pytest.mark.framework
@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("fields", [{"bidirectional": True}, {"lengths": (4, 2)}], ids=["bidirectional", "lengths"])
def test_what_cannot_be_run_is_refused(workers, name, fields):
    outcome = workers.run(implementations()[name], problem_of(**FIELDS[name], **fields))
    assert outcome.status == "unsupported"
    assert outcome.reason.startswith("only ")


def test_nobody_takes_part_without_being_named():
    for name, fields in FIELDS.items():
        assert not implementations()[name].takes_part_in(problem_of(**fields).case)
