"""torch's two biases: together they are the one bias to the bit, and each of them counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from harness.layout import layouts
from harness.tensors import Structure

TORCH = layouts()["torch"]
H = 4
STRUCTURE = Structure("rnn", layers=2, batch=1, time=1, input=3, hidden=H, output=None)
FINITE = {"allow_nan": False, "allow_infinity": False}


def with_biases(bias):
    zeros = {name: np.zeros(shape, bias.dtype) for name, shape in STRUCTURE.weights.items()}
    return zeros | {"layer0.b_h": bias, "layer1.b_h": bias[::-1].copy()}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_they_sum_to_the_bias_to_the_bit(dtype):
    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(bias=hnp.arrays(dtype, H, elements=hnp.from_dtype(np.dtype(dtype), **FINITE)))
    def check(bias):
        weights = with_biases(bias)
        converted = TORCH.from_canonical(weights, STRUCTURE)
        for n in range(2):
            total = converted[f"bias_ih_l{n}"] + converted[f"bias_hh_l{n}"]
            assert total.tobytes() == weights[f"layer{n}.b_h"].tobytes()

    check()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_forgetting_one_or_taking_one_twice_is_seen(dtype):
    limits = np.finfo(dtype)
    bias = np.array([0.3, -1e-3, limits.max / 4, limits.smallest_subnormal], dtype)
    converted = TORCH.from_canonical(with_biases(bias), STRUCTURE)
    first, second = converted["bias_ih_l0"], converted["bias_hh_l0"]
    for wrong in (first, second, first + first, second + second, first - second):
        assert (wrong != bias).all()
    assert first.all()
    assert second.all()


def test_no_other_layer_is_touched():
    weights = with_biases(np.arange(1.0, 1 + H)) | {"layer0.b_h": np.zeros(H)}
    converted = TORCH.from_canonical(weights, STRUCTURE)
    assert not converted["bias_ih_l0"].any()
    assert not converted["bias_hh_l0"].any()
    np.testing.assert_array_equal(converted["bias_ih_l1"] + converted["bias_hh_l1"], weights["layer1.b_h"])


def canonical(gradients):
    return TORCH.gradients_to_canonical(gradients, STRUCTURE)["layer0.b_h"]


def moved(right, by):
    """A wrong value: off by a share of the right one, or by that much where the right one is zero."""
    return right + by if right == 0 or not np.isfinite(by) else right * (1 + by)


WRONG = [
    (right, moved(right, by))
    for right in (1.0, -0.375, 1e-300, 5e-324, 1e300, 0.0)
    for by in (1.0, 1e-9, -2.0, np.inf, np.nan)
    if moved(right, by) != right  # the least number above zero has no neighbour that near
]


@pytest.mark.parametrize(("right", "wrong"), WRONG, ids=str)
@pytest.mark.parametrize("which", ["bias_ih_l0", "bias_hh_l0"])
def test_a_wrong_gradient_of_only_one_is_seen(which, right, wrong):
    """In every element, and at least as far off as the wrong gradient itself."""
    gradients = {"bias_ih_l0": np.full(H, right), "bias_hh_l0": np.full(H, right)}
    np.testing.assert_array_equal(canonical(gradients), np.full(H, right))
    off = canonical({**gradients, which: np.full(H, wrong)})
    if np.isfinite(wrong):
        assert (np.abs(off - right) >= 0.999 * abs(wrong - right)).all()
    else:
        assert not np.isfinite(off).any()


def test_one_wrong_element_is_seen_where_it_is():
    right = np.arange(1.0, 1 + H)
    wrong = right.copy()
    wrong[2] += 0.25
    np.testing.assert_array_equal(canonical({"bias_ih_l0": wrong, "bias_hh_l0": right}) != right, np.arange(H) == 2)
    np.testing.assert_array_equal(canonical({"bias_ih_l0": right, "bias_hh_l0": wrong}) != right, np.arange(H) == 2)


def test_gradients_of_the_two_biases_are_each_the_whole_gradient():
    """h depends on the sum of the biases only, so that the loss has the same derivative by each."""
    gradient = np.arange(1.0, 1 + H)
    converted = TORCH.gradients_from_canonical(with_biases(gradient), STRUCTURE)
    np.testing.assert_array_equal(converted["bias_ih_l0"], gradient)
    np.testing.assert_array_equal(converted["bias_hh_l0"], gradient)


def test_infinities_of_opposite_sign_are_not_finite_together():
    opposite = {"bias_ih_l0": np.full(H, np.inf), "bias_hh_l0": np.full(H, -np.inf)}
    assert not np.isfinite(canonical(opposite)).any()
