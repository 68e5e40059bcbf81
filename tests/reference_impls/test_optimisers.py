"""Optimisers and clipping, against the formulas element by element, closed forms, and what must not happen."""

import math

import numpy as np
import pytest

from reference_impls import optimisers

DTYPES = [np.float32, np.float64, np.longdouble]


def tensors(seed, dtype=np.float64, scale=1.0):
    random = np.random.default_rng(seed)
    return {
        "W": random.normal(0, scale, (3, 4)).astype(dtype),
        "b": random.normal(0, scale, 4).astype(dtype),
    }


def test_sgd_goes_down_the_gradient():
    weights, gradients = tensors(1), tensors(2)
    moved = optimisers.sgd(weights, gradients, 0.1)
    for name, w in weights.items():
        for index in np.ndindex(w.shape):
            assert moved[name][index] == pytest.approx(w[index] - 0.1 * gradients[name][index], rel=1e-15)


def test_adam_is_algorithm_1_number_by_number():
    """Each weight on its own, with Python's floats, over ten updates."""
    weights, moments = tensors(1), optimisers.no_moments(tensors(1))
    alone = {(name, index): [w[index], 0.0, 0.0] for name, w in weights.items() for index in np.ndindex(w.shape)}
    for t in range(1, 11):
        gradients = tensors(t, scale=1e-6 if t % 2 else 1.0)
        weights, moments = optimisers.adam(weights, gradients, moments, 0.01)
        for (name, index), (w, m, v) in alone.items():
            g = gradients[name][index]
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            w -= 0.01 * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
            alone[name, index] = [w, m, v]
            assert weights[name][index] == pytest.approx(w, rel=1e-13)
    assert moments.updates == 10


def test_the_first_step_of_adam_is_as_long_as_the_learning_rate_whatever_the_gradient():
    weights = {"w": np.zeros(4)}
    gradients = {"w": np.array([1e-3, -1.0, 1e3, 0.0])}
    moved, _ = optimisers.adam(weights, gradients, optimisers.no_moments(weights), 0.5)
    np.testing.assert_allclose(moved["w"], [-0.5 / (1 + 1e-5), 0.5, -0.5, 0.0], rtol=1e-7)


def test_a_gradient_of_the_size_of_epsilon_makes_half_a_step():
    """Outside the bias-corrected root: g / (|g| + ε) = 1/2. Inside, or beside the uncorrected root, it is another."""
    weights = {"w": np.zeros(1)}
    moved, _ = optimisers.adam(weights, {"w": np.array([1e-8])}, optimisers.no_moments(weights), 1.0)
    assert moved["w"][0] == pytest.approx(-0.5, rel=1e-12)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def test_before_the_first_update_each_moment_is_zeros_like_its_weight(dtype):
    weights = tensors(1, dtype)
    first, second, updates = optimisers.no_moments(weights)
    assert updates == 0
    for moment in (first, second):
        assert moment.keys() == weights.keys()
        for name, w in weights.items():
            assert (moment[name].shape, moment[name].dtype) == (w.shape, w.dtype)
            assert not moment[name].any()


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def test_every_dtype_stays_and_nothing_is_written_to(dtype):
    weights, gradients = tensors(1, dtype), tensors(2, dtype)
    copies = [{name: each.copy() for name, each in group.items()} for group in (weights, gradients)]
    moments = optimisers.no_moments(weights)
    for _ in range(2):
        moved, moments = optimisers.adam(weights, gradients, moments, 0.1)
    found = [
        moved,
        moments.first,
        moments.second,
        optimisers.sgd(weights, gradients, 0.1),
        optimisers.clipped_by_value(gradients, 0.5),
        optimisers.clipped_by_norm(gradients, 0.5),
        {"norm": optimisers.global_norm(gradients)},
    ]
    assert {each.dtype for group in found for each in group.values()} == {np.dtype(dtype)}
    for group, copy in zip((weights, gradients), copies, strict=True):
        assert all(np.array_equal(group[name], copy[name]) for name in group)


def test_by_value_each_element_is_cut_off_on_both_sides():
    gradients = {"a": np.array([-2.0, -0.5, 0.0]), "b": np.array([[0.4, 3.0]])}
    cut = optimisers.clipped_by_value(gradients, 0.5)
    np.testing.assert_array_equal(cut["a"], [-0.5, -0.5, 0.0])
    np.testing.assert_array_equal(cut["b"], [[0.4, 0.5]])


def test_by_norm_all_tensors_are_scaled_alike():
    gradients = {"a": np.array([3.0, 0.0]), "b": np.array([[-4.0]])}
    assert optimisers.global_norm(gradients) == 5
    scaled = optimisers.clipped_by_norm(gradients, 2.5)
    np.testing.assert_array_equal(scaled["a"], [1.5, 0])
    np.testing.assert_array_equal(scaled["b"], [[-2.0]])


@pytest.mark.parametrize("limit", [5.0, 5.000001, 1e300])
def test_by_norm_what_is_short_enough_stays_to_the_bit(limit):
    gradients = {"a": np.array([3.0, 0.1]), "b": np.array([[-3.9]])}
    scaled = optimisers.clipped_by_norm(gradients, limit)
    assert all(np.array_equal(scaled[name], each) for name, each in gradients.items())


def test_zero_gradients_have_a_norm_of_zero_and_stay():
    zeros = {"a": np.zeros(3)}
    assert not optimisers.clipped_by_norm(zeros, 1.0)["a"].any()


def test_nan_in_one_tensor_is_in_all_after_clipping_by_norm():
    """As in torch and TensorFlow: no training continues with half of a gradient."""
    scaled = optimisers.clipped_by_norm({"a": np.array([np.nan]), "b": np.array([1.0])}, 1.0)
    assert np.isnan(scaled["b"]).all()


def test_a_missing_gradient_is_missed():
    for update in (
        lambda w, g: optimisers.sgd(w, g, 0.1),
        lambda w, g: optimisers.adam(w, g, optimisers.no_moments(w), 0.1),
    ):
        with pytest.raises(KeyError):
            update(tensors(1), {"W": np.zeros((3, 4))})
