"""The two biases of one, number by number: what they sum to, what their gradients amount to, and where floats end."""

import numpy as np
import pytest

from harness.layout.pairs import one_bias, one_gradient, two_biases, two_gradients

FIRST = np.array([1.0, 2, 3, 4, 5, 6])
SECOND = np.array([10.0, 20, 30, 40, 50, 60])


def test_two_gates_biases_are_added_and_the_candidates_are_not():
    b_h, b_hn = one_bias(FIRST, SECOND, True)
    assert b_h.tolist() == [11, 22, 33, 44, 5, 6]
    assert b_hn.tolist() == [50, 60]


def test_without_a_candidate_all_biases_are_added():
    total, nothing = one_bias(FIRST, SECOND, False)
    assert total.tolist() == [11, 22, 33, 44, 55, 66]
    assert nothing is None


def test_a_pair_is_twice_the_bias_and_less_the_bias():
    first, second = two_biases(np.array([1.5, -3.0]))
    assert (first.tolist(), second.tolist()) == ([3.0, -6.0], [-1.5, 3.0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zero_and_what_cannot_be_doubled_stand_beside_a_negative_zero(dtype):
    """Only −0 leaves the sign of a zero as it is."""
    bias = np.array([0.0, -0.0, np.finfo(dtype).max, np.inf, np.nan], dtype)
    first, second = two_biases(bias)
    assert first.tobytes() == bias.tobytes()
    assert second.tobytes() == np.full(5, -0.0, dtype).tobytes()
    assert (first + second).tobytes() == bias.tobytes()


def test_blanks_of_whole_numbers_stay_what_they_are():
    """``Layout.shapes`` converts blanks."""
    bias = np.array([100, 1], np.int8)
    first, second = two_biases(bias)
    assert (first.tolist(), second.tolist()) == ([100, 1], [0, 0])
    assert first.dtype == second.dtype == np.int8


def test_the_candidates_biases_are_the_ends_of_the_two():
    first, second = two_biases(np.array([1.0, 2, 3]), np.array([7.0]))
    assert (first.tolist(), second.tolist()) == ([2.0, 4.0, 3.0], [-1.0, -2.0, 7.0])
    of_first, of_second = two_gradients(np.array([1.0, 2, 3]), np.array([7.0]))
    assert (of_first.tolist(), of_second.tolist()) == ([1.0, 2.0, 3.0], [1.0, 2.0, 7.0])


def test_gradients_that_disagree_count_the_first_twice_and_the_second_once_less():
    assert [each if each is None else each.tolist() for each in one_gradient(FIRST, SECOND)] == [
        [-8.0, -16.0, -24.0, -32.0, -40.0, -48.0],
        None,
    ]
    b_h, b_hn = one_gradient(FIRST, SECOND, True)
    assert b_h.tolist() == [-8, -16, -24, -32, 5, 6]
    assert b_hn.tolist() == [50, 60]


def test_of_one_gradient_what_follows_follows():
    assert one_gradient(None, None) == (None, None)
    assert one_gradient(None, None, True) == (None, None)
    assert one_gradient(FIRST, None)[0].tolist() == FIRST.tolist()
    assert one_gradient(None, SECOND)[0].tolist() == SECOND.tolist()
    b_h, b_hn = one_gradient(None, SECOND, True)
    assert b_h is None
    assert b_hn.tolist() == [50, 60]
    b_h, b_hn = one_gradient(FIRST, None, True)
    assert b_h.tolist() == FIRST.tolist()
    assert b_hn is None


def test_where_a_difference_overflows_or_is_none_nothing_warns():
    largest = np.array([np.finfo(float).max, np.inf, np.inf, np.nan])
    joined, _ = one_gradient(largest, np.array([-np.finfo(float).max, np.inf, -np.inf, np.nan]))
    np.testing.assert_array_equal(joined, [np.inf, np.inf, np.inf, np.nan])
