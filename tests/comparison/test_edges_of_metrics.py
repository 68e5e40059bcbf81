"""Numbers of the metrics where a slip would hide: at the bound, across chunks, in the widest and in two dtypes."""

import math

import numpy as np
import pytest

from harness.comparison import ComparisonPolicy, compare, measure
from harness.comparison.dtypes import in_the_narrower, judged_in, narrower, noise_in
from harness.comparison.metrics import CHUNK
from harness.result import Result


def test_an_error_as_large_as_the_bound_has_the_ratio_one_and_the_next_number_more():
    at_the_bound = measure(np.array([1.5]), np.array([1.0]), rtol=0, atol=0.5)
    assert (at_the_bound.error_ratio, at_the_bound.failed) == (1.0, 0)
    beyond = measure(np.array([math.nextafter(1.5, 2)]), np.array([1.0]), rtol=0, atol=0.5)
    assert beyond.error_ratio > 1
    assert beyond.failed == 1


def test_relative_errors_are_relative_to_the_expected_value_and_none_where_there_is_no_error():
    found = measure(np.array([5.0, 0.0, 4.0, 1.0]), np.array([4.0, 0.0, 4.0, 0.0]), rtol=0, atol=9, collect="all")
    (columns,) = found.collected
    assert columns.rel_error.tolist() == [0.25, 0.0, 0.0, np.inf]
    assert columns.abs_error.tolist() == [1.0, 0.0, 0.0, 1.0]


def test_each_chunk_is_held_against_its_own_bounds_and_places():
    size = CHUNK + 3
    expected, allowed = np.zeros(size), np.full(size, 1.0)
    actual = expected.copy()
    actual[[5, CHUNK + 1]] = 0.75
    allowed[CHUNK + 1] = 0.5
    found = measure(actual, expected, rtol=0, atol=allowed)
    assert (found.elements, found.failed, found.worst, found.error_ratio) == (size, 1, CHUNK + 1, 1.5)
    assert (found.actual, found.expected, found.allowed) == (0.75, 0.0, 0.5)
    assert [each.position.tolist() for each in found.collected] == [[CHUNK + 1]]


def test_the_first_of_equal_errors_is_the_worst_and_nan_is_worse():
    zeros = np.zeros(CHUNK + 2)
    found = measure(zeros + 1, zeros, rtol=0, atol=0.5)
    assert found.worst == 0
    spoilt = zeros + 1
    spoilt[[3, CHUNK + 1]] = np.nan
    found = measure(spoilt, zeros, rtol=0, atol=0.5)
    assert found.worst == 3
    assert math.isnan(found.error_ratio)
    assert found.became_nonfinite == 2


def test_the_widest_floats_are_not_rounded_before_they_are_compared():
    one = np.ones(2, np.longdouble)
    near = one.copy()
    near[1] = np.nextafter(one[1], np.longdouble(2))
    apart = float(near[1] - one[1])
    for actual, expected in ((near, one), (one, near)):
        found = measure(actual, expected, rtol=0, atol=0)
        assert (found.failed, found.max_abs_error, found.max_ulp_error) == (1, apart, 1)


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match=r"^shapes \(2,\) and \(3,\) cannot be compared$"):
        measure(np.ones(2), np.ones(3), rtol=0, atol=0)
    with pytest.raises(ValueError, match=r"^there are no elements to compare$"):
        measure(np.ones(0), np.ones(0), rtol=0, atol=0)


SINGLE, DOUBLE = np.dtype("float32"), np.dtype("float64")


def test_the_dtype_with_fewer_digits_is_the_narrower():
    assert narrower(SINGLE, DOUBLE) == narrower(DOUBLE, SINGLE) == SINGLE
    assert narrower(DOUBLE, DOUBLE) == DOUBLE
    both = in_the_narrower(np.array([1e300]), np.ones(1, SINGLE))
    assert [each.dtype for each in both] == [SINGLE, SINGLE]
    assert both[0] == np.inf


def test_noise_grows_with_the_machine_epsilon():
    assert noise_in(SINGLE, 3.0, DOUBLE) == 3.0 * 2.0**29
    assert noise_in(SINGLE, np.array([1.0, 2.0]), DOUBLE).tolist() == [2.0**29, 2.0**30]
    assert noise_in(SINGLE, None, DOUBLE) is None


def test_in_which_dtype_a_tensor_is_judged_is_said_where_two_differ():
    assert judged_in(DOUBLE, DOUBLE) == ""
    assert judged_in(DOUBLE, SINGLE) == "returned as float64, where float32 went in, and judged as float32"


def test_a_case_s_tolerance_holds_in_the_narrower_dtype_only_if_it_was_meant_for_it():
    narrow, wide = {"loss": np.ones(1, SINGLE) * np.float32(1 + 1e-6)}, {"loss": np.ones(1)}
    assert compare(narrow, wide, ComparisonPolicy(own_dtype=True, tolerance={"atol": 1e-12})).matches
    assert not compare(wide, narrow, ComparisonPolicy(own_dtype=True, tolerance={"atol": 1e-12})).matches
    assert (
        compare(narrow, wide, ComparisonPolicy(own_dtype=True, noise={"loss": 1e-12})).tensors[0].bound.atol
        == 16 * 1e-12 * 2.0**29
    )


def test_python_numbers_take_the_dtype_of_what_they_stand_beside():
    assert compare({"loss": 0.1}, {"loss": np.array(0.1, SINGLE)}).matches
    assert compare({"loss": [1, 2]}, {"loss": np.array([1.0, 2.0], SINGLE)}).matches


def test_what_only_one_of_two_results_knows_is_compared_as_far_as_it_is_known():
    known = {"a": np.array([True, False])}
    first = Result(None, None, {"a": np.array([1.0, 9.0]), "b": np.ones(2)}, 0.0, known)
    second = Result(None, None, {"a": np.array([1.0, 2.0]), "b": np.ones(2)}, 0.0)
    for one, other in ((first, second), (second, first)):
        assert [each.elements for each in compare(one, other).tensors] == [1, 2]


def test_half_units_of_both_sides_are_added():
    def with_half_units(value):
        return Result(None, None, {"a": np.array([value, 1.0])}, 0.0, {}, {"a": np.array([0.25, 0.0])})

    (found,) = compare(with_half_units(1.5), with_half_units(1.0), ComparisonPolicy(tolerance={"atol": 0.0})).tensors
    assert (found.verdict, found.bound.atol) == ("match", 0.5)
    assert found.bound.origin == "half a unit in the last known digit, and the case's tolerance"
    (found,) = compare(with_half_units(1.51), with_half_units(1.0), ComparisonPolicy(tolerance={"atol": 0.0})).tensors
    assert (found.verdict, found.worst_index) == ("mismatch", (0,))
