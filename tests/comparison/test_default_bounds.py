"""The bound that follows from the table, for every line of it, and that it leaves room for rounding at every scale."""

import math

import numpy as np
import pytest

from harness.comparison import ComparisonPolicy, compare
from harness.precision.tolerance import OTHER_UNITS, UNITS, bound
from harness.tensors import kind_of

LINES = [(dtype, kind) for dtype, kinds in UNITS.items() for kind in kinds]


OF_TRAINING = {"training.loss": ("training.loss",), "trained": ("trained.layer0.W_xh", "trained.readout.b_y")}


@pytest.mark.parametrize(("dtype", "kind"), LINES)
def test_each_line_of_the_table_is_in_force_in_every_layer(dtype, kind):
    expected = np.array([0.5, -8, 3], dtype)
    eps = float(np.finfo(dtype).eps)
    of_gradients = (kind, f"layer0.{kind}", f"layer17.{kind}", f"readout.{kind}")
    for name in OF_TRAINING.get(kind, of_gradients):
        assert kind_of(name) == kind
        from_largest, from_noise = bound(name, expected), bound(name, expected, noise=1e-3)
        assert (from_largest.rtol, from_largest.atol) == (0, UNITS[dtype][kind] * eps * 8)
        assert (from_noise.rtol, from_noise.atol) == (0, UNITS[dtype][kind] * 1e-3)
        for each, words in ((from_largest, "eps x largest element 8"), (from_noise, "rounding noise 0.001")):
            assert f"{UNITS[dtype][kind]:g} units for {kind} in {dtype}" in each.origin
            assert words in each.origin


def test_a_tensor_that_is_in_no_line_has_the_units_of_others():
    found = bound("layer0.W_new", np.ones(2))
    assert found.atol == OTHER_UNITS * 2.0**-52
    assert "W_new" in found.origin


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble], ids=lambda dtype: np.dtype(dtype).name)
def test_a_dtype_that_is_not_in_the_table_has_its_own_eps(dtype):
    assert bound("loss", np.ones(2, dtype)).atol == OTHER_UNITS * float(np.finfo(dtype).eps)


def test_whole_numbers_must_be_equal():
    found = bound("labels", np.array([1000000, 2]), noise=5.0)
    assert (found.rtol, found.atol) == (0, 0)
    assert "exact" in found.origin


@pytest.mark.parametrize("noise", [None, 0.0, 1e-20])
def test_noise_below_the_scale_changes_nothing(noise):
    assert bound("loss", np.ones(1), noise=noise) == bound("loss", np.ones(1))


@pytest.mark.parametrize("dtype", UNITS)
def test_ill_conditioned_is_what_loses_more_than_half_of_its_digits(dtype):
    expected = np.array([4.0, 1.0], dtype)
    half = math.sqrt(float(np.finfo(dtype).eps)) * 4
    assert not bound("loss", expected, noise=half * 0.999).ill_conditioned
    assert bound("loss", expected, noise=half * 1.001).ill_conditioned
    assert not bound("loss", expected).ill_conditioned
    assert not bound("loss", expected, {"atol": 1.0}, noise=1e9).ill_conditioned


def test_zeros_that_rounding_moves_are_ill_conditioned():
    found = bound("loss", np.zeros(3), noise=1e-9)
    assert found.ill_conditioned
    assert found.atol == UNITS["float64"]["loss"] * 1e-9


def test_zeros_that_nothing_moves_are_exact():
    assert compare({"loss": np.zeros(2)}, {"loss": np.zeros(2)}).matches
    assert compare({"loss": np.array([0.0, -0.0])}, {"loss": np.zeros(2)}).matches
    assert compare({"loss": np.array([0.0, 5e-324])}, {"loss": np.zeros(2)}).verdict == "mismatch"


def test_ill_conditioned_is_said_even_of_a_match():
    (tensor,) = compare({"loss": np.ones(1)}, {"loss": np.ones(1)}, ComparisonPolicy(noise={"loss": 1e-3})).tensors
    assert tensor.verdict == "match"
    assert "ill-conditioned" in tensor.reason
    (tensor,) = compare({"loss": np.ones(1)}, {"loss": np.ones(1)}, ComparisonPolicy(noise={"loss": 1e-12})).tensors
    assert tensor.reason == ""


OVERRIDES = {
    "rtol alone": ({"rtol": 1e-3}, 1e-3, 0.0, "the case's tolerance"),
    "atol alone": ({"atol": 1e-3}, 0.0, 1e-3, "the case's tolerance"),
    "both": ({"rtol": 1, "atol": 2}, 1.0, 2.0, "the case's tolerance"),
    "zero": ({"rtol": 0}, 0.0, 0.0, "the case's tolerance"),
    "by name": ({"layer0.b_h": {"rtol": 0.5}, "default": {"atol": 9}}, 0.5, 0.0, "the case's tolerance of layer0.b_h"),
    "default": ({"layer1.b_h": {"rtol": 0.5}, "default": {"atol": 9}}, 0.0, 9.0, "the case's tolerance of default"),
}


@pytest.mark.parametrize(("override", "rtol", "atol", "origin"), OVERRIDES.values(), ids=OVERRIDES)
def test_a_case_that_says_otherwise_has_it_its_way(override, rtol, atol, origin):
    found = bound("layer0.b_h", np.ones(3), override, noise=1e-3)
    assert (found.rtol, found.atol, found.origin) == (rtol, atol, origin)
    assert {type(found.rtol), type(found.atol)} == {float}


def test_what_a_case_says_of_one_tensor_leaves_the_table_to_the_others():
    expected = {"loss": np.ones(1), "layer0.b_h": np.ones(2)}
    actual = {name: array + 1e-6 for name, array in expected.items()}
    comparison = compare(actual, expected, ComparisonPolicy(tolerance={"loss": {"atol": 1e-5}}))
    assert [each.verdict for each in comparison.tensors] == ["match", "mismatch"]
    assert [each.bound.origin.startswith("the case's") for each in comparison.tensors] == [True, False]


def test_with_rtol_alone_each_element_is_measured_by_itself():
    expected = {"loss": np.array([1e6, 1e-6, 0.0])}
    near = {"loss": expected["loss"] * (1 + 1e-4)}
    assert compare(near, expected, ComparisonPolicy(tolerance={"rtol": 1e-3})).matches
    off = {"loss": expected["loss"] + np.array([0, 1e-8, 0])}
    assert compare(off, expected).matches is False or bound("loss", expected["loss"]).atol >= 1e-8
    assert compare(off, expected, ComparisonPolicy(tolerance={"rtol": 1e-3})).tensors[0].failed == 1
    not_zero = {"loss": expected["loss"] + np.array([0, 0, 1e-300])}
    assert compare(not_zero, expected, ComparisonPolicy(tolerance={"rtol": 1e-3})).tensors[0].failed == 1


@pytest.mark.parametrize("dtype", UNITS)
@pytest.mark.parametrize("exponent", ["one", "large", "small", "least normal", "subnormal", "least of all"])
def test_the_next_number_is_always_within_the_bound(dtype, exponent):
    """Rounding once more moves a number to its neighbour, and that must be no mismatch at any scale."""
    limits = np.finfo(dtype)
    scales = {
        "one": 1.0,
        "large": float(limits.max) / 4,
        "small": float(limits.tiny) * 1e6,
        "least normal": float(limits.tiny),
        "subnormal": float(limits.tiny) / 1024,
        "least of all": float(limits.smallest_subnormal),
    }
    expected = np.array([scales[exponent]], dtype)
    for towards in (np.inf, -np.inf):
        actual = np.nextafter(expected, np.array(towards, dtype))
        assert actual != expected
        comparison = compare({"layer0.h0": actual}, {"layer0.h0": expected})
        assert comparison.matches, str(comparison)


def test_arithmetic_that_is_coarser_than_its_dtype_is_held_to_its_own_eps():
    expected = {"layer0.W_xh": np.array([0.5, -8, 3], np.float32)}
    actual = {name: array * np.float32(1 + 2**-11) for name, array in expected.items()}
    assert not compare(actual, expected).matches
    assert compare(actual, expected, ComparisonPolicy(eps=2.0**-10)).matches
