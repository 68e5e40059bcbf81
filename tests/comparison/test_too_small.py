"""A match that zeros would have, too, is said to be one: of the smallest numbers, and under a large tolerance."""

import numpy as np
import pytest

import harness
from harness.comparison import ComparisonPolicy, compare
from harness.implementations import Partial

SAID = "too small to judge: zeros would match as well"


def judged(actual, expected, **options):
    (found,) = compare({"layer0.b_h": actual}, {"layer0.b_h": expected}, ComparisonPolicy(**options)).tensors
    assert found.too_small == (SAID in found.reason)
    return found.verdict, found.too_small


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_subnormal_numbers_match_whatever_they_are_and_that_is_said(dtype):
    least = np.finfo(dtype).smallest_subnormal
    small = np.full(4, 5 * least, dtype)
    for actual in (np.zeros(4, dtype), 2 * small, small):
        assert judged(actual, small) == ("match", True)
    larger = np.full(4, 17 * least, dtype)
    assert judged(larger, larger) == ("match", False)
    assert judged(np.zeros(4, dtype), larger) == ("mismatch", False)


def test_numbers_that_the_answers_dtype_does_not_hold_are_too_small():
    """They become zeros where they are judged."""
    assert judged(np.zeros(4, "float16"), np.full(4, 1e-9), own_dtype=True) == ("match", True)
    assert judged(np.zeros(4, "float16"), np.zeros(4), own_dtype=True) == ("match", False)


@pytest.mark.parametrize(
    ("tolerance", "small"),
    [({"atol": 2.0}, True), ({"rtol": 1.0}, True), ({"rtol": 0.5, "atol": 0.5}, True), ({"rtol": 0.9}, False)],
)
def test_a_tolerance_above_every_element_is_said(tolerance, small):
    assert judged(np.ones(4), np.ones(4), tolerance=tolerance) == ("match", small)


def test_one_element_that_tells_is_enough():
    assert judged(np.array([1e-3, 1.0]), np.array([0, 1.0]), tolerance={"atol": 1e-2}) == ("match", False)
    assert judged(np.array([0, np.inf]), np.array([1e-3, np.inf]), tolerance={"atol": 1}, nonfinite="allowed") == (
        "match",
        False,
    )


def test_of_what_is_known_in_part_the_known_elements_count():
    known = np.array([True, False])
    partial = Partial(np.array([0.0, 0.0]), known, np.where(known, 0.005, 0.0))
    assert judged(partial, np.array([0.001, 1.0])) == ("match", True)
    assert judged(Partial(np.ones(2), known, np.zeros(2)), np.array([1.0, 0.0])) == ("match", False)


def test_it_is_said_at_every_door(harness_case):
    small = {"loss": np.float16(1e-7)}
    assert str(harness.compare(small, small)) == f"match: 1 elements of 1 tensors; of these loss: {SAID}"
    with pytest.warns(harness.HarnessWarning, match=f"loss, .*layer0.W_hh.*: {SAID}"):
        harness.assert_gradients_match(lambda _: {"loss": 0.0, "layer0.W_hh": np.zeros((5, 5))}, harness_case)


@pytest.fixture
def harness_case(workplace):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text() + "tolerance: {atol: 1e6}\n")
    return case
