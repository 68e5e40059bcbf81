"""Elements that are passed over change nothing: every number is that of a close look at all of them."""

import math
import tracemalloc
from dataclasses import fields
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.comparison import Metrics, measure, metrics
from harness.comparison.screening import Screen

DTYPES = ("float32", "float64")
SIZE = 96


def everything(screen, actual, expected):
    """In place of ``Screen.left``: nothing is passed over."""
    return np.arange(len(actual))


def assert_same(one: Metrics, other: Metrics):
    for field in fields(Metrics):
        if field.name != "collected":
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name), field.name)
    assert len(one.collected) == len(other.collected)
    for kept, wanted in zip(one.collected, other.collected, strict=True):
        for field in fields(kept):
            np.testing.assert_array_equal(getattr(kept, field.name), getattr(wanted, field.name), field.name)


@st.composite
def nearly_equal(draw):
    """Two arrays whose elements are mostly a few numbers of their dtype apart, as results are, with special ones."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    limits = np.finfo(dtype)
    magnitude = draw(st.sampled_from([1.0, float(limits.tiny), float(limits.smallest_subnormal) * 9, 1e30]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    with np.errstate(all="ignore"):
        expected = (magnitude * random.choice([random.standard_normal(SIZE), np.ones(SIZE)])).astype(dtype)
        bits = expected.view(f"i{dtype.itemsize}")
        apart = draw(hnp.arrays(np.int8, SIZE, elements=st.sampled_from([0, 1, -1, 2, 3])))
        noise = limits.eps * np.abs(expected).max() * random.standard_normal(SIZE)
        actual = draw(st.sampled_from([(bits + apart).view(dtype), (expected + noise).astype(dtype)]))
    special = [0.0, -0.0, np.nan, np.inf, -np.inf, limits.max, -limits.max, limits.tiny, limits.smallest_subnormal]
    for array in (actual, expected):
        for place in draw(st.lists(st.integers(0, SIZE - 1), max_size=3)):
            array[place] = draw(st.sampled_from(special))
    for place in draw(st.lists(st.integers(0, SIZE - 1), max_size=3)):
        actual[place] = expected[place] = draw(st.sampled_from(special))
    largest = float(np.abs(expected[np.isfinite(expected)]).max(initial=0))
    atol = draw(st.sampled_from([0.0, 0.5, 1.0, 2.0, 16.0])) * float(limits.eps) * largest
    return actual, expected, draw(st.sampled_from([atol, atol + np.zeros(SIZE), atol * (1 + random.random(SIZE))]))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    drawn=nearly_equal(),
    rtol=st.sampled_from([0.0, 1e-7, 1e-300]),
    allowed=st.booleans(),
    collect=st.sampled_from(["none", "failed", "all"]),
    chunk=st.sampled_from([3, 16, 50]),
)
def test_every_number_is_that_of_a_close_look_at_every_element(drawn, rtol, allowed, collect, chunk):
    actual, expected, atol = drawn
    options = {"rtol": rtol, "atol": atol, "nonfinite_allowed": allowed, "collect": collect}
    with patch.object(metrics, "CHUNK", chunk):
        screened = measure(actual, expected, **options)
        with patch.object(Screen, "left", everything):
            assert_same(screened, measure(actual, expected, **options))


@pytest.fixture(autouse=True)
def short_first_chunk(monkeypatch):
    """So that in small tensors, too, there are elements after it."""
    monkeypatch.setattr(metrics, "FIRST", 2)


@pytest.fixture
def looked_at(monkeypatch):
    """Count the elements of each chunk but the first that were looked at closely."""
    counts = []
    left = Screen.left

    def counted(screen, actual, expected):
        places = left(screen, actual, expected)
        counts.append(len(places))
        return places

    monkeypatch.setattr(Screen, "left", counted)
    return counts


@pytest.mark.parametrize("dtype", DTYPES)
def test_of_tensors_that_match_hardly_an_element_after_the_first_chunk_is_looked_at(monkeypatch, looked_at, dtype):
    monkeypatch.setattr(metrics, "CHUNK", 1000)
    random = np.random.default_rng(0)
    expected = random.standard_normal(100_000).astype(dtype)
    noise = np.finfo(dtype).eps * random.standard_normal(len(expected))
    measure((expected + noise).astype(dtype), expected, rtol=0, atol=100 * np.finfo(dtype).eps)
    assert len(looked_at) == 100
    assert sum(looked_at) < 2000


@pytest.mark.parametrize("dtype", DTYPES)
def test_elements_just_as_far_off_as_the_worst_are_passed_over(monkeypatch, looked_at, dtype):
    monkeypatch.setattr(metrics, "CHUNK", 100)
    expected = (1 + np.random.default_rng(0).random(10_000)).astype(dtype)
    actual = np.nextafter(expected, np.array(np.inf, dtype))
    measure(actual, expected, rtol=0, atol=16 * np.finfo(dtype).eps)
    assert sum(looked_at) < 1000  # their relative errors differ, and there are some that are the largest so far


@pytest.mark.parametrize("dtype", DTYPES)
def test_zeros_on_both_sides_are_passed_over_beside_elements_that_are_not(monkeypatch, looked_at, dtype):
    monkeypatch.setattr(metrics, "CHUNK", 100)
    expected = np.zeros(1000, dtype)
    actual = expected.copy()
    actual[::100] = np.arange(1, 11)
    measure(actual, expected, rtol=0, atol=100)
    assert looked_at == [*[1] * 9, 0]


def one_after(earlier, later, dtype, **options):
    """Measure (actual, expected) in the last of many chunks, after others in the first."""
    expected = np.ones(20, dtype)
    actual = expected.copy()
    for place, pair in enumerate(earlier):
        actual[place], expected[place] = pair
    actual[-1], expected[-1] = later
    with patch.object(metrics, "CHUNK", 2):
        return measure(actual, expected, **{"rtol": 0, "atol": 1.0} | options)


@pytest.mark.parametrize("sign", [1, -1], ids=["positive", "negative"])
@pytest.mark.parametrize("dtype", DTYPES)
class TestWhatIsWorseInOneWayAloneIsSeen:
    """A number that is further off than those before it by one measure, and nearer by all others."""

    def test_absolutely(self, dtype, sign):
        m = one_after([(sign * 1.25, sign)], (sign * 512.5, sign * 512), dtype)
        assert (m.max_abs_error, m.max_rel_error, m.error_ratio, m.worst) == (0.5, 0.25, 0.5, 19)

    def test_relatively(self, dtype, sign):
        eps = float(np.finfo(dtype).eps)
        m = one_after([(sign * (1.75 + eps), sign * 1.75)], (sign * (1.25 + eps), sign * 1.25), dtype)
        assert (m.max_rel_error, m.max_abs_error, m.max_ulp_error, m.worst) == (eps / 1.25, eps, 1, 0)

    def test_in_ulp(self, dtype, sign):
        # Numbers just below a power of two are the densest relative to themselves.
        expected, eps = (2 - 2**-6) / 16, float(np.finfo(dtype).eps)
        m = one_after([(sign * (1 + 2 * eps), sign)], (sign * (expected + 3 * eps / 16), sign * expected), dtype)
        assert (m.max_ulp_error, m.max_rel_error, m.max_abs_error) == (3, 2 * eps, 2 * eps)

    @pytest.mark.parametrize("unit", [1, 2.0**-6, 2.0**6])
    def test_relative_to_its_own_bound(self, dtype, sign, unit):
        unit = sign * unit
        earlier = [(unit * 512.5, unit * 512), (unit * 2**-9, unit * 2**-10)]
        m = one_after(earlier, (unit * 1.25, unit), dtype, rtol=1.0, atol=abs(unit))
        assert (m.error_ratio, m.worst) == (0.25 / 2, 19)
        assert (m.max_abs_error, m.max_rel_error) == (0.5 * abs(unit), 1)

    def test_relatively_where_the_largest_difference_is_one(self, dtype, sign):
        m = one_after([(sign * 101.5, sign * 100)], (sign * 11, sign * 10), dtype, atol=2.0)
        assert (m.max_rel_error, m.max_abs_error) == (0.1, 1.5)

    def test_beyond_its_bound(self, dtype, sign):
        """Those before it are beyond theirs as well, so that what is no worse is not therefore right."""
        m = one_after([(sign * 4, sign)], (sign * 1.375, sign), dtype, atol=0.25)
        assert m.failed == 2
        assert [each.position.tolist() for each in m.collected] == [[0], [19]]

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_not_finite(self, dtype, sign, value):
        for first in ((1.25, 1.0), (math.nan, 1.0), (math.inf, 1.0)):
            m = one_after([first], (sign * value, 1.0), dtype, atol=1e300)
            assert m.became_nonfinite == 1 + (not math.isfinite(first[0]))

    def test_not_finite_where_that_is_expected(self, dtype, sign):
        assert one_after([(sign * math.inf, 1.0)], (1.0, sign * math.inf), dtype, atol=math.inf).failed == 2

    def test_where_zero_is_expected(self, dtype, sign):
        least = float(np.finfo(dtype).smallest_subnormal)
        m = one_after([(1.25, 1.0)], (sign * least, 0.0), dtype)
        assert (m.max_rel_error, m.max_abs_error) == (math.inf, 0.25)

    def test_among_subnormals(self, dtype, sign):
        least = sign * float(np.finfo(dtype).smallest_subnormal)
        m = one_after([(1.25, 1.0), (7 * least, 5 * least)], (8 * least, 5 * least), dtype)
        assert (m.max_rel_error, m.max_abs_error) == (3 / 5, 0.25)


def test_a_ratio_that_is_larger_by_a_hair_is_seen():
    larger = 2.0**-10 * (1 + 2**-22)
    earlier = [(2.0**39 + 0.5, 2.0**39), (2.0**-9, 2.0**-10)]
    m = one_after(earlier, (2.0**-8 + larger, 2.0**-8), "float64", rtol=2.0**-30)
    assert m.worst == 19
    assert m.error_ratio > 2.0**-10


class TestWhatFloat32WouldRoundAway:
    """Errors are float64 whatever the tensor is, and the screen works in the tensor's own dtype."""

    def test_of_a_difference(self):
        difference = 0.6875 + 2**-25  # halfway between two float32
        m = one_after([(0.6875, 0.0)], (1 - difference, 1.0), "float32")
        assert m.max_abs_error == difference

    def test_of_a_quotient(self):
        eps = float(np.finfo("float32").eps)
        # 2 eps / x is larger than 3 eps / y, and what float32 makes of it is not.
        x, y = next(
            (x, y)
            for x in 1.25 + eps * np.arange(1, 1000, 2)
            for y in [1.5 * x + 0.5 * eps]
            if np.float32(2 * eps / x).astype(np.float64) <= 3 * eps / y
        )
        m = one_after([(y + 3 * eps, y)], (x + 2 * eps, x), "float32")
        assert m.max_rel_error == 2 * eps / x > 3 * eps / y

    def test_of_a_bound(self):
        """The bound lies between two float32, nearer to the upper one, which is beyond it."""
        for later in ((1.125, 1.0), (0.875, 1.0)):
            assert one_after([(1.5, 1.0)], later, "float32", atol=0.125 * (1 - 2**-30)).failed == 2


def test_tensors_that_lie_otherwise_in_memory_are_not_copied():
    a = np.zeros((2000, 1000)).T
    b = a.copy(order="F")
    b[700, 3] = 1.0
    tracemalloc.start()
    found = measure(a, b, rtol=0, atol=0.5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < a.nbytes
    assert (found.failed, found.worst) == (1, 700 * a.shape[1] + 3)
