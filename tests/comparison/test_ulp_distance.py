"""Distances in representable numbers, against stepping from each number to the next."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.comparison import ulp_distance

DTYPES = [np.float16, np.float32, np.float64, np.longdouble]


@pytest.fixture(params=DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def dtype(request):
    return request.param


def distance(a, b, dtype):
    (value,) = ulp_distance(np.array([a], dtype), np.array([b], dtype))
    (back,) = ulp_distance(np.array([b], dtype), np.array([a], dtype))
    np.testing.assert_array_equal(value, back)
    assert value.dtype == np.float64
    return value


def stepped(x, steps, towards, dtype):
    x = dtype(x)
    for _ in range(steps):
        x = np.nextafter(x, dtype(towards))
    return x


STARTS = [0.0, 1.0, -1.0, 2.0, 1024.0, 0.1, -3.7, 6e-5]


@pytest.mark.parametrize("towards", [np.inf, -np.inf], ids=["up", "down"])
def test_as_many_as_steps_of_nextafter(dtype, towards):
    """1, 2 and 1024 are ends of a binade: the steps are half as long below as above."""
    for start in STARTS:
        for steps in (0, 1, 2, 7, 40):
            assert distance(dtype(start), stepped(start, steps, towards, dtype), dtype) == steps


@pytest.mark.parametrize("below", [0, 1, 5])
@pytest.mark.parametrize("above", [0, 1, 3])
def test_across_zero(dtype, below, above):
    low, high = stepped(0, below, -np.inf, dtype), stepped(0, above, np.inf, dtype)
    assert distance(low, high, dtype) == below + above


def test_the_two_zeros_are_one_number(dtype):
    assert distance(0.0, -0.0, dtype) == 0


def test_infinity_is_one_step_beyond_the_largest_number(dtype):
    largest = np.finfo(dtype).max
    assert distance(largest, np.inf, dtype) == 1
    assert distance(-largest, -np.inf, dtype) == 1
    assert distance(np.inf, np.inf, dtype) == 0


def test_nan_is_nowhere(dtype):
    for other in (np.nan, 0.0, 1.0, np.inf):
        assert math.isnan(distance(np.nan, other, dtype))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(x=st.floats(allow_nan=False, allow_infinity=False), up=st.booleans())
def test_the_next_number_is_one_apart(x, up):
    assert distance(x, math.nextafter(x, math.inf if up else -math.inf), np.float64) == 1


@settings(max_examples=200, deadline=None, derandomize=True)
@given(numbers=st.lists(st.floats(width=32, allow_nan=False), min_size=3, max_size=3))
def test_distances_add_up(numbers):
    low, middle, high = sorted(numbers)
    assert distance(low, high, np.float32) == distance(low, middle, np.float32) + distance(middle, high, np.float32)


@pytest.mark.parametrize(("kind", "finite"), [(np.float16, 0x7C00), (np.float32, 0x7F800000)])
def test_from_end_to_end_are_all_the_numbers(kind, finite):
    assert distance(-np.inf, np.inf, kind) == 2 * finite


def test_from_end_to_end_of_float64_does_not_overflow():
    assert distance(-np.inf, np.inf, np.float64) == pytest.approx(2 * 0x7FF0000000000000, rel=1e-15)


def test_arrays_of_different_dtypes_are_counted_in_the_narrower():
    wide, narrow = np.array([1 + 2.0**-40, 1 + 2.0**-23]), np.ones(2, np.float32)
    np.testing.assert_array_equal(ulp_distance(wide, narrow), [0, 1])
    np.testing.assert_array_equal(ulp_distance(narrow, wide), [0, 1])


def test_any_shape_and_memory_order(dtype):
    a = np.ones((2, 3), dtype)
    b = np.nextafter(a, dtype(2))
    for of_a, of_b in ((a, b), (a.T, b.T), (a[::-1, ::2], b[::-1, ::2])):
        np.testing.assert_array_equal(ulp_distance(of_a, of_b), np.ones(of_a.shape))
    assert ulp_distance(a[0, :1].reshape(()), b[0, :1].reshape(())) == 1
