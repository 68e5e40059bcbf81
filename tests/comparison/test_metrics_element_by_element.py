"""The metrics against a reference that looks at one element at a time, in Python's own arithmetic."""

import math
import struct
import tracemalloc
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.comparison import Elements, measure, metrics

FORMATS = {"float32": ("<f", "<I", 31), "float64": ("<d", "<Q", 63)}
COLUMNS = ("actual", "expected", "abs_error", "rel_error", "ulp_error", "allowed", "ok")


def place(x, dtype):
    """Return the place of a number in the order of all numbers of a dtype; zero, of either sign, is at 0."""
    of_float, of_bits, sign = FORMATS[dtype]
    (bits,) = struct.unpack(of_bits, struct.pack(of_float, x))
    return bits if bits < 1 << sign else (1 << sign) - bits


def quotient(a, b):
    if a == 0:
        return 0.0
    return a / b if b != 0 else math.nan if math.isnan(a) else math.inf


def naive_element(a, e, dtype, rtol, atol, allowed_nonfinite):
    finite = math.isfinite(a) and math.isfinite(e)
    same = not finite and (a == e or (math.isnan(a) and math.isnan(e)))
    bound = atol + rtol * abs(e)
    if same and allowed_nonfinite:
        return a, e, 0.0, 0.0, 0.0, bound, True
    error = abs(a - e)
    ulp = math.nan if math.isnan(a) or math.isnan(e) else float(abs(place(a, dtype) - place(e, dtype)))
    return a, e, error, quotient(error, abs(e)), ulp, bound, finite and error <= bound


def largest(values):
    values = list(values)
    return math.nan if any(map(math.isnan, values)) else max(values)


def element_lists(collected):
    """The collected elements as rows."""
    columns = [np.concatenate([getattr(each, name) for each in collected]) for name in ("position", *COLUMNS)]
    return [tuple(each) for each in np.array(columns, object).T]


def assert_same_rows(actual, expected):
    assert len(actual) == len(expected)
    for row, wanted in zip(actual, expected, strict=True):
        assert row[0] == wanted[0]
        assert row[-1] == wanted[-1]
        np.testing.assert_array_equal(np.array(row[1:-1], float), np.array(wanted[1:-1], float))


@st.composite
def pairs(draw):
    """Two arrays that are alike in places, with every special number, and hard ones: neighbours, equal magnitudes."""
    dtype = draw(st.sampled_from(sorted(FORMATS)))
    limits = np.finfo(dtype)
    special = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, limits.max, -limits.max, limits.tiny]
    special += [limits.smallest_subnormal, -limits.smallest_subnormal, 3 * limits.smallest_subnormal]
    numbers = st.sampled_from([float(each) for each in special]) | st.floats(width=limits.bits, allow_nan=False)
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=4))
    expected = draw(hnp.arrays(dtype, shape, elements=numbers))
    other = draw(hnp.arrays(dtype, shape, elements=numbers))
    how = draw(hnp.arrays(np.int8, shape, elements=st.integers(0, 2)))
    with np.errstate(all="ignore"):
        near = np.nextafter(expected, np.array(np.inf, dtype))
    return np.choose(how, [expected, near, other]), expected


TOLERANCES = st.sampled_from([0.0, 5e-324, 1e-300, 1e-16, 1e-7, 0.1, 1.0])


@settings(max_examples=250, deadline=None, derandomize=True)
@given(
    pair=pairs(),
    rtol=TOLERANCES,
    atol=TOLERANCES,
    allowed=st.booleans(),
    collect=st.sampled_from(["none", "failed", "all"]),
    chunk=st.sampled_from([1, 2, 3, 7, metrics.CHUNK]),
)
def test_every_number_of_every_element(pair, rtol, atol, allowed, collect, chunk):
    actual, expected = pair
    dtype = expected.dtype.name
    rows = [
        (position, *naive_element(a, e, dtype, rtol, atol, allowed))
        for position, (a, e) in enumerate(zip(actual.ravel().tolist(), expected.ravel().tolist(), strict=True))
    ]
    with patch.object(metrics, "CHUNK", chunk):
        m = measure(actual, expected, rtol=rtol, atol=atol, nonfinite_allowed=allowed, collect=collect)

    ratios = [quotient(error, bound) for _, _, _, error, _, _, bound, _ in rows]
    assert m.elements == len(rows)
    assert m.failed == sum(not ok for *_, ok in rows)
    assert m.became_nonfinite == sum(not math.isfinite(a) and math.isfinite(e) for _, a, e, *_ in rows)
    assert m.max_abs_error == pytest.approx(largest(row[3] for row in rows), rel=0, abs=0, nan_ok=True)
    assert m.max_rel_error == pytest.approx(largest(row[4] for row in rows), rel=0, abs=0, nan_ok=True)
    assert m.max_ulp_error == pytest.approx(largest(row[5] for row in rows), rel=0, abs=0, nan_ok=True)
    assert m.error_ratio == pytest.approx(largest(ratios), rel=0, abs=0, nan_ok=True)

    wanted = m.error_ratio
    first = next(i for i, ratio in enumerate(ratios) if ratio == wanted or math.isnan(ratio))
    assert m.worst == first
    at_worst = [rows[first][i] for i in (1, 2, 6)]
    np.testing.assert_array_equal([m.actual, m.expected, m.allowed], at_worst)

    kept = {"none": [], "failed": [row for row in rows if not row[-1]], "all": rows}[collect]
    assert_same_rows(element_lists(m.collected) if m.collected else [], kept)


@pytest.mark.slow
@settings(max_examples=300, deadline=None, derandomize=True)
@given(pair=pairs(), rtol=TOLERANCES, atol=TOLERANCES.filter(bool), allowed=st.booleans())
@example((np.array([-1.7e308]), np.array([1.7e308])), 1.0, 1.0, False)
def test_a_ratio_above_one_or_nan_is_a_failure_and_no_other_is(pair, rtol, atol, allowed):
    actual, expected = pair
    for a, e in zip(actual.reshape(-1, 1), expected.reshape(-1, 1), strict=True):
        m = measure(a, e, rtol=rtol, atol=atol, nonfinite_allowed=allowed)
        assert (m.failed == 1) == (not m.error_ratio <= 1)
    whole = measure(actual, expected, rtol=rtol, atol=atol, nonfinite_allowed=allowed)
    assert (whole.failed > 0) == (not whole.error_ratio <= 1)


@pytest.mark.parametrize("chunk", [1, 2, 5, 6, 7, 12, 13, 10**6])
def test_every_element_is_counted_exactly_once(monkeypatch, chunk):
    monkeypatch.setattr(metrics, "CHUNK", chunk)
    expected = np.arange(13.0)
    m = measure(expected + 1, expected, rtol=0, atol=0.5, collect="all")
    assert m.elements == m.failed == 13
    assert np.concatenate([each.position for each in m.collected]).tolist() == list(range(13))
    assert sum(len(each) for each in m.collected) == 13


def test_the_last_element_of_the_last_of_several_chunks_is_looked_at():
    expected = np.ones(2 * metrics.CHUNK + 3, np.float32)
    for position in (0, metrics.CHUNK - 1, metrics.CHUNK, 2 * metrics.CHUNK, len(expected) - 1):
        actual = expected.copy()
        actual[position] = 1.5
        m = measure(actual, expected, rtol=0, atol=0.25)
        assert (m.elements, m.failed, m.worst, m.error_ratio) == (len(expected), 1, position, 2.0)
        (kept,) = m.collected
        assert kept.position.tolist() == [position]
        assert (m.actual, m.expected, m.allowed) == (1.5, 1.0, 0.25)


def test_positions_are_those_of_the_tensor_and_not_of_its_memory():
    expected = np.arange(12.0).reshape(3, 4)
    actual = expected.copy()
    actual[2, 1] += 1
    for a, e in ((actual, expected), (np.asfortranarray(actual), expected), (actual, np.asfortranarray(expected))):
        assert measure(a, e, rtol=0, atol=0).worst == 9
    reversed_view = measure(actual[::-1, ::-1], expected[::-1, ::-1], rtol=0, atol=0)
    assert reversed_view.worst == 2


def test_the_first_of_several_equally_bad_elements_is_the_worst():
    assert measure(np.array([0.0, 1, 1]), np.zeros(3), rtol=0, atol=1e-3).worst == 1


def test_nan_is_worse_than_any_number(monkeypatch):
    monkeypatch.setattr(metrics, "CHUNK", 2)
    m = measure(np.array([1e300, 1, 0, np.nan, 1e308, np.nan]), np.zeros(6), rtol=0, atol=1e-300)
    assert math.isnan(m.error_ratio)
    assert (m.worst, m.failed, m.became_nonfinite) == (3, 5, 2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rtol", [0.0, 0.5])
def test_the_same_nonfinite_number_passes_only_where_it_is_allowed(value, rtol):
    array = np.array([1.0, value])
    refused = measure(array, array, rtol=rtol, atol=1e300)
    allowed = measure(array, array, rtol=rtol, atol=1e300, nonfinite_allowed=True)
    assert (refused.failed, allowed.failed) == (1, 0)
    assert refused.became_nonfinite == allowed.became_nonfinite == 0
    assert not refused.error_ratio <= 1
    assert allowed.error_ratio == allowed.max_abs_error == allowed.max_rel_error == allowed.max_ulp_error == 0


DIFFERENT = [
    (np.nan, 1.0),
    (1.0, np.nan),
    (np.inf, 1.0),
    (1.0, np.inf),
    (-np.inf, np.inf),
    (np.nan, np.inf),
    (np.inf, np.nan),
]


@pytest.mark.parametrize(("a", "e"), DIFFERENT)
@pytest.mark.parametrize("rtol", [0.0, 1e-9, 1.0, 1e308])
@pytest.mark.parametrize("allowed", [False, True], ids=["refused", "allowed"])
def test_a_nonfinite_number_against_another_never_passes(a, e, rtol, allowed):
    m = measure(np.array([a]), np.array([e]), rtol=rtol, atol=1e308, nonfinite_allowed=allowed)
    assert m.failed == 1
    assert not m.error_ratio <= 1
    assert m.became_nonfinite == math.isfinite(e)


def test_without_any_tolerance_equal_is_right_and_anything_else_is_infinitely_wrong():
    assert measure(np.array([0.0, -0.0, 5.0]), np.array([-0.0, 0.0, 5.0]), rtol=0, atol=0).error_ratio == 0
    m = measure(np.array([5e-324]), np.array([0.0]), rtol=0, atol=0)
    assert (m.failed, m.error_ratio, m.max_rel_error, m.max_ulp_error) == (1, math.inf, math.inf, 1)


def test_float32_errors_are_not_themselves_rounded_to_float32():
    m = measure(np.array([1.0], np.float32), np.array([-1e-9], np.float32), rtol=0, atol=1)
    assert m.max_abs_error == 1 + float(np.float32(1e-9))
    assert m.failed == 1


def test_an_error_too_large_for_a_number_is_a_failure():
    m = measure(np.array([1.7e308]), np.array([-1.7e308]), rtol=0, atol=1e308)
    assert (m.failed, m.max_abs_error, m.error_ratio) == (1, math.inf, math.inf)


def test_a_bound_and_an_error_too_large_for_a_number_agree_on_whether_it_passes():
    m = measure(np.array([-1.7e308]), np.array([1.7e308]), rtol=4, atol=1)
    assert (m.failed == 1) == (not m.error_ratio <= 1)


@pytest.mark.skipif(np.finfo(np.longdouble).eps >= np.finfo(np.float64).eps, reason="longdouble is float64 here")
def test_longdouble_errors_keep_their_digits():
    one, eps = np.longdouble(1), np.finfo(np.longdouble).eps
    m = measure(np.array([one + eps]), np.array([one]), rtol=0, atol=0)
    assert (m.failed, m.max_abs_error, m.max_rel_error) == (1, float(eps), float(eps))


@pytest.mark.skipif(np.finfo(np.longdouble).eps >= np.finfo(np.float64).eps, reason="longdouble is float64 here")
def test_a_longdouble_failure_by_a_hair_has_a_ratio_above_one():
    m = measure(
        np.array([np.longdouble(1) + np.finfo(np.longdouble).eps]), np.array([0.0], np.longdouble), rtol=0, atol=1
    )
    assert m.failed == 1
    assert m.error_ratio > 1


def test_a_signalling_nan_is_a_nan():
    """It comes from files and from uninitialised memory, and any arithmetic with it warns."""
    for dtype, bits in (("float32", 0x7F800001), ("float64", 0x7FF0000000000001)):
        array = np.array([bits], f"u{np.dtype(dtype).itemsize}").view(dtype)
        m = measure(array, np.zeros(1, dtype), rtol=0, atol=1)
        assert (m.failed, m.became_nonfinite) == (1, 1)


def test_whole_numbers_are_told_apart_beyond_the_digits_of_a_float():
    assert measure(np.array([2**53 + 1]), np.array([2**53]), rtol=0, atol=0).failed == 1


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64])
def test_whole_numbers_are_measured(dtype):
    m = measure(np.array([0, 1, 1], dtype), np.array([1, 1, 0], dtype), rtol=0, atol=0)
    assert (m.failed, m.max_abs_error, m.max_ulp_error) == (2, 1, 1)


def test_shapes_must_be_the_same():
    with pytest.raises(ValueError, match=r"\(2, 1\) and \(2,\)"):
        measure(np.zeros((2, 1)), np.zeros(2), rtol=0, atol=0)


def test_nothing_is_no_match():
    with pytest.raises(ValueError, match="no elements"):
        measure(np.zeros((0, 3)), np.zeros((0, 3)), rtol=0, atol=0)


def test_arrays_are_left_as_they_are():
    actual, expected = np.array([np.nan, np.inf, 1.0]), np.array([np.nan, np.inf, 2.0])
    for array in (actual, expected):
        array.setflags(write=False)
    m = measure(actual, expected, rtol=0, atol=0, nonfinite_allowed=True, collect="all")
    assert isinstance(m.collected[0], Elements)
    assert m.failed == 1


def test_memory_beyond_the_inputs_is_small():
    a = np.zeros(4_000_000)
    tracemalloc.start()
    measure(a, a, rtol=0, atol=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64e6
