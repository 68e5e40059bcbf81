"""Numbers that agree with the reference, and disagree with the baseline all the same: what is said of them."""

from __future__ import annotations

import numpy as np
import pytest

from harness.comparison import ComparisonPolicy, compare
from harness.execution.session import diagnose_result
from harness.result import Result
from tests.diagnosis.conftest import predictions_of

PREDICTIONS = predictions_of("dot")
RIGHT = {name: np.asarray(array) for name, array in PREDICTIONS.truth.items()}


def result_of(actual):
    gradients = {name: array for name, array in actual.items() if name not in ("loss", "outputs")}
    return Result(actual.get("loss"), actual.get("outputs"), gradients, 0.0)


def explained(actual, expected, **options):
    return diagnose_result(result_of(actual), PREDICTIONS, compare(actual, expected, ComparisonPolicy(**options)))


def test_a_baseline_that_is_off_is_said_to_be():
    wrong = {**RIGHT, "layer0.b_h": 2 * RIGHT["layer0.b_h"]}
    (found,) = explained(RIGHT, wrong, complete=True)
    assert (found.fault, found.tensors) == ("baseline-is-off", ("layer0.b_h",))


NOT_OFF = {
    "a missing tensor": lambda right: {name: array for name, array in right.items() if name != "layer0.b_h"},
    "another dtype": lambda right: {**right, "layer0.b_h": right["layer0.b_h"].astype(np.float32)},
    "another name": lambda right: {**right, "layer0.b": right["layer0.b_h"]},
}


@pytest.mark.parametrize("made", NOT_OFF.values(), ids=NOT_OFF)
def test_nothing_is_blamed_where_no_numbers_disagree(made):
    actual = made(RIGHT)
    comparison = compare(actual, RIGHT, ComparisonPolicy(complete=True, own_dtype=False))
    assert not comparison.matches
    assert explained(actual, RIGHT, complete=True, own_dtype=False) == []


def test_a_tolerance_that_asks_for_more_than_rounding_gives():
    moved = {name: array * (1 + 2e-16) for name, array in RIGHT.items()}
    (found,) = explained(moved, RIGHT, complete=True, tolerance={"rtol": 0.0, "atol": 1e-300})
    assert found.fault == "tolerance-below-rounding"


def test_without_a_comparison_nothing_is_said_of_right_numbers():
    assert diagnose_result(result_of(RIGHT), PREDICTIONS) == []
