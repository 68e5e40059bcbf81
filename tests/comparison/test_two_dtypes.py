"""Which of two float dtypes a tensor is judged in."""

import numpy as np
import pytest

from harness.comparison import ComparisonPolicy, compare
from harness.comparison.dtypes import in_the_narrower, narrower
from harness.comparison.metrics import measure, ulp_distance

DTYPES = [np.dtype(name) for name in ("float16", "float32", "float64")]


@pytest.mark.parametrize("other", DTYPES, ids=str)
@pytest.mark.parametrize("one", DTYPES, ids=str)
def test_it_is_the_one_with_fewer_digits(one, other):
    assert narrower(one, other) == min(one, other, key=lambda dtype: dtype.itemsize)
    actual, expected = in_the_narrower(np.ones(3, one), np.full(3, 0.5, other))
    assert actual.dtype == expected.dtype == narrower(one, other)
    assert (actual.tolist(), expected.tolist()) == ([1, 1, 1], [0.5, 0.5, 0.5])


def test_of_two_with_as_many_digits_it_is_the_first():
    big, little = np.dtype(">f4"), np.dtype("<f4")
    assert narrower(big, little) is big
    assert narrower(little, big) is little


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_what_is_of_that_dtype_is_not_copied(dtype):
    actual, expected = np.ones(3, dtype), np.zeros(3, dtype)
    found = in_the_narrower(actual, expected)
    assert found[0] is actual
    assert found[1] is expected


def test_it_is_said_after_what_is_wrong():
    actual, expected = np.array([1.0, 2.0], np.float32), np.array([1.0, 2.5])
    (tensor,) = compare({"loss": actual}, {"loss": expected}, ComparisonPolicy(own_dtype=True)).tensors
    assert tensor.reason == (
        "1 of 2 elements outside the tolerance; returned as float32, where float64 went in, and judged as float32"
    )


def test_what_overflows_in_the_narrower_is_infinity_there_and_no_warning():
    largest = np.finfo(np.float32).max
    distance = ulp_distance(np.array([1e300, 1.0]), np.array([largest, 1.0], np.float32))
    assert distance.tolist() == [1.0, 0.0]  # infinity follows the largest number


def test_a_longdouble_above_the_bound_by_less_than_a_double_can_tell_has_the_least_ratio_above_one():
    found = measure(np.array([1 + np.finfo(np.longdouble).eps]), np.zeros(1, np.longdouble), rtol=0, atol=1.0)
    assert (found.failed, found.error_ratio) == (1, np.nextafter(1.0, 2.0))


def test_longdoubles_on_both_sides_of_zero_are_as_far_apart_as_both_from_zero():
    one = np.ones(1, np.longdouble)
    (across,), (above,) = ulp_distance(-one, one), ulp_distance(0 * one, one)
    assert across == 2 * above > 1e9
