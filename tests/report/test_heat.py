"""A heatmap shows the worst element of each block, with the numbers that were compared."""

import numpy as np
import pytest

from harness.report.heat import MOST_COLUMNS, MOST_ROWS, heat


@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5), (2, 3, 4), (24, 24)], ids=str)
def test_a_small_tensor_is_shown_element_by_element(shape):
    expected = np.random.default_rng(0).normal(size=shape)
    actual = expected + 1e-9
    found = heat(actual, expected, 1e-3, 1e-6)
    assert len(found) == expected.size
    assert [actual[index] for index in found.index] == found.actual.tolist() == actual.reshape(-1).tolist()
    np.testing.assert_array_equal(found.allowed, 1e-6 + 1e-3 * np.abs(expected).reshape(-1))


@pytest.mark.parametrize("shape", [(100,), (25, 25), (70, 3, 50)], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_the_one_wrong_element_of_a_large_tensor_is_shown(shape, seed):
    draw = np.random.default_rng(seed)
    expected = draw.normal(size=shape)
    actual, at = expected.copy(), tuple(int(draw.integers(size)) for size in shape)
    actual[at] += 1e-3
    found = heat(actual, expected, 0.0, 1e-6)
    assert found.columns <= MOST_COLUMNS
    assert found.rows <= MOST_ROWS
    shown = found.index.index(at)
    assert (found.actual[shown], found.expected[shown]) == (actual[at], expected[at])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_worse_than_any_number(value):
    actual, expected = np.ones((50, 50)), np.ones((50, 50))
    actual[10, 10], actual[11, 11] = 1e300, value
    found = heat(actual, expected, 0.0, 1e-6)
    assert (10, 10) in found.index or (11, 11) in found.index
    assert (11, 11) in found.index


def test_the_same_infinity_is_no_error():
    both = np.full((50, 50), np.inf)
    wrong = both.copy()
    wrong[3, 4] = 1.0
    assert (3, 4) in heat(wrong, both, 0.0, 1e-6).index


def test_it_is_written_with_every_digit():
    actual = np.array([0.1, 1 / 3], np.float32)
    assert heat(actual, actual, 0.0, 1.0).plain()["actual"] == ["0.1", "0.33333334"]
