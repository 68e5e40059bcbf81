"""Every layout holds the same numbers, to the bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.layout import layouts
from harness.layout.torch import two_biases
from harness.tensors import Structure

structures = st.builds(
    Structure,
    cell=st.just("rnn"),
    layers=st.integers(1, 3),
    batch=st.just(2),
    time=st.just(3),
    input=st.integers(1, 4),
    hidden=st.integers(1, 4),
    output=st.none() | st.integers(1, 4),
)


def any_bits(dtype):
    """Any float at all: NaN, infinities, both zeros, subnormals, the largest."""
    return hnp.from_dtype(np.dtype(dtype), allow_subnormal=True)


@st.composite
def weights_of(draw):
    structure, dtype = draw(structures), draw(st.sampled_from([np.float32, np.float64]))
    tensors = {
        name: draw(hnp.arrays(dtype, shape, elements=any_bits(dtype))) for name, shape in structure.weights.items()
    }
    return structure, tensors


def bits(tensors):
    """The bytes of tensors; all NaNs alike, since arithmetic may change which one it is."""
    return {name: (each.shape, np.where(np.isnan(each), np.nan, each).tobytes()) for name, each in tensors.items()}


@pytest.mark.parametrize("name", layouts())
@settings(max_examples=60, deadline=None)
@given(given=weights_of())
def test_weights_come_back_to_the_bit(name, given):
    structure, weights = given
    layout = layouts()[name]
    there = layout.from_canonical(weights, structure)
    assert {each: tensor.shape for each, tensor in there.items()} == layout.shapes(structure)
    assert bits(layout.to_canonical(there, structure)) == bits(weights)


@pytest.mark.parametrize("name", layouts())
@settings(max_examples=60, deadline=None)
@given(given=weights_of())
def test_gradients_come_back_to_the_bit(name, given):
    structure, gradients = given
    layout = layouts()[name]
    there = layout.gradients_from_canonical(gradients, structure)
    assert {each: tensor.shape for each, tensor in there.items()} == layout.shapes(structure)
    assert bits(layout.gradients_to_canonical(there, structure)) == bits(gradients)


SMALL = Structure("rnn", 2, 2, 3, 4, 5, 6)


def random_weights(seed=0):
    random = np.random.default_rng(seed)
    return {name: random.normal(size=shape) for name, shape in SMALL.weights.items()}


@pytest.mark.parametrize("name", layouts())
def test_a_layout_loses_no_element_and_adds_none_but_second_biases(name):
    elements = sum(np.prod(shape) for shape in SMALL.weights.values())
    second_biases = 2 * 5 if name == "torch" else 0
    assert sum(np.prod(shape) for shape in layouts()[name].shapes(SMALL).values()) == elements + second_biases


@pytest.mark.parametrize("name", layouts())
def test_what_is_there_is_converted_when_something_is_not(name):
    layout, weights = layouts()[name], random_weights()
    for left_out in layout.shapes(SMALL):
        partial = layout.gradients_from_canonical(weights, SMALL)
        del partial[left_out]
        converted = layout.gradients_to_canonical(partial, SMALL)
        assert set(converted) < set(weights) or (name == "torch" and "bias" in left_out)
        for each, tensor in converted.items():
            np.testing.assert_array_equal(tensor, weights[each])


@settings(max_examples=200, deadline=None)
@given(bias=st.sampled_from([np.float32, np.float64]).flatmap(lambda d: hnp.arrays(d, 5, elements=any_bits(d))))
def test_torchs_two_biases_add_up_to_the_bit(bias):
    first, second = two_biases(bias)
    assert bits({"b": first + second}) == bits({"b": bias})


def test_torchs_second_bias_matters():
    first, second = two_biases(np.array([0.3, -1.5]))
    assert second.all()
    assert (first != second).all()


@pytest.mark.parametrize("wrong", ["bias_ih_l1", "bias_hh_l1"])
def test_a_wrong_gradient_of_either_of_torchs_biases_shows(wrong):
    layout, gradients = layouts()["torch"], random_weights()
    there = layout.gradients_from_canonical(gradients, SMALL)
    there[wrong] = there[wrong] * (1 + 1e-9)
    back = layout.gradients_to_canonical(there, SMALL)
    assert (back["layer1.b_h"] != gradients["layer1.b_h"]).all()


def test_the_conversions_are_each_frameworks():
    weights = random_weights()
    torch, keras, tf1 = (layouts()[name].from_canonical(weights, SMALL) for name in ("torch", "keras", "tf1"))
    np.testing.assert_array_equal(torch["weight_ih_l1"], weights["layer1.W_xh"].T)
    np.testing.assert_array_equal(keras["layer1.recurrent_kernel"], weights["layer1.W_hh"])
    np.testing.assert_array_equal(tf1["layer0.kernel"][:4], weights["layer0.W_xh"])
    np.testing.assert_array_equal(tf1["layer0.kernel"][4:], weights["layer0.W_hh"])
    np.testing.assert_array_equal(torch["readout.weight"], weights["readout.W_hy"].T)
