"""The errors of a tensor, held against an element-by-element reference in plain Python."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.comparison import measure, metrics, ulp_distance

SPECIAL = [0.0, -0.0, 1.0, -1.0, 1 + 2**-52, 5e-324, 1e-310, 1e300, -1e300, math.inf, -math.inf, math.nan]
numbers = st.sampled_from(SPECIAL) | st.floats(-1e3, 1e3)


def plain_error(actual, expected, rtol, atol, allowed):
    """(absolute error, bound, whether it is within the bound), by the definition."""
    if math.isfinite(actual) and math.isfinite(expected):
        error, bound = abs(actual - expected), atol + rtol * abs(expected)
        return error, bound, error <= bound
    same = actual == expected or (math.isnan(actual) and math.isnan(expected))
    return (0.0 if same and allowed else math.nan), math.nan, same and allowed


@settings(max_examples=300, deadline=None)
@given(
    pairs=st.lists(st.tuples(numbers, numbers), min_size=1, max_size=12),
    rtol=st.sampled_from([0.0, 1e-9, 0.1]),
    atol=st.sampled_from([1e-12, 1e-3, 1.0]),
    allowed=st.booleans(),
    chunk=st.sampled_from([1, 3, 100]),
)
def test_every_element_is_judged_by_the_definition(pairs, rtol, atol, allowed, chunk):
    actual, expected = (np.array(column) for column in zip(*pairs, strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "CHUNK", chunk)
        found = measure(actual, expected, rtol=rtol, atol=atol, nonfinite_allowed=allowed, collect="all")
    plain = [plain_error(a, e, rtol, atol, allowed) for a, e in pairs]
    assert found.elements == len(pairs)
    assert found.failed == sum(not ok for *_, ok in plain)
    ok = np.concatenate([each.ok for each in found.collected])
    assert ok.tolist() == [ok for *_, ok in plain]
    position = np.concatenate([each.position for each in found.collected])
    assert position.tolist() == list(range(len(pairs)))
    assert (found.failed > 0) == (not found.error_ratio <= 1)
    finite = [error for error, bound, _ in plain if not math.isnan(error)]
    if len(finite) == len(plain):
        assert found.max_abs_error == max(finite)
    assert found.became_nonfinite == sum(math.isfinite(e) and not math.isfinite(a) for a, e in pairs)


@settings(max_examples=100, deadline=None)
@given(
    array=hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=4), elements=st.floats(-10, 10)), data=st.data()
)
def test_the_worst_element_is_where_the_change_is(array, data):
    index = tuple(data.draw(st.integers(0, side - 1)) for side in array.shape)
    changed = array.copy()
    changed[index] += 0.5
    found = measure(changed, array, rtol=0, atol=1e-9)
    assert np.unravel_index(found.worst, array.shape) == index
    assert found.failed == 1
    assert (found.actual, found.expected) == (changed[index], array[index])
    assert [each.position.tolist() for each in found.collected] == [[found.worst]]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64], ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("start", [1.0, -1.0, 0.0, 1e-7, 65504.0], ids=str)
@pytest.mark.parametrize("steps", [0, 1, 7])
def test_ulp_distance_counts_representable_numbers(dtype, start, steps):
    a = np.array([start], dtype)
    b = a.copy()
    for _ in range(steps):
        b = np.nextafter(b, np.array([-np.inf], dtype))
    assert ulp_distance(a, b).tolist() == [steps]
    assert ulp_distance(b, a).tolist() == [steps]


def test_ulp_distance_at_the_edges():
    tiny = 5e-324
    a = np.array([tiny, 0.0, np.nan, np.inf, 1.7976931348623157e308])
    b = np.array([-tiny, -0.0, 1.0, -np.inf, np.inf])
    distance = ulp_distance(a, b)
    assert distance[:2].tolist() == [2, 0]
    assert np.isnan(distance[2])
    assert distance[3] == 2 * 0x7FF0000000000000
    assert distance[4] == 1


def test_errors_in_float32_are_taken_in_float64():
    a, e = np.array([16777217.0 + 1], np.float32), np.array([16777216.0], np.float32)
    found = measure(a, e, rtol=0, atol=1)
    assert found.max_abs_error == 2.0
    assert found.max_ulp_error == 1.0


@pytest.mark.parametrize("collect", ["none", "failed", "all"])
def test_elements_are_collected_as_asked(collect):
    a, e = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.5, 3.0])
    found = measure(a, e, rtol=0, atol=0.1, collect=collect)
    assert sum(map(len, found.collected)) == {"none": 0, "failed": 1, "all": 3}[collect]


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="shapes"):
        measure(np.zeros(3), np.zeros((3, 1)), rtol=0, atol=0)
    with pytest.raises(ValueError, match="no elements"):
        measure(np.zeros(0), np.zeros(0), rtol=0, atol=0)


def test_memory_beyond_the_inputs_is_small():
    import tracemalloc

    a = np.zeros(4_000_000)
    tracemalloc.start()
    measure(a, a, rtol=0, atol=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64e6
