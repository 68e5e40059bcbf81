"""There and back is exact to the bit, in every layout, for every bit pattern that a number can have."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.layout import layouts
from harness.tensors import GATES, Structure

CELLS = [(cell, reset) for cell in GATES for reset in (("after", "before") if cell == "gru" else ("after",))]
BITS = {"float32": np.uint32, "float64": np.uint64}


def special_bits(dtype):
    """±0, ±∞, ±NaN with payloads, ±1, the ends of the normal and subnormal numbers, and where doubling overflows."""
    limits = np.finfo(dtype)
    half = limits.max / limits.dtype.type(2)
    normal = np.array([0, 1, np.inf, limits.max, half, limits.tiny, limits.smallest_subnormal], dtype)
    beside = np.nextafter(np.array([limits.tiny, half, 1], dtype), np.array([0, np.inf, 2], dtype))
    positive = [int(each) for each in np.concatenate([normal, beside]).view(BITS[dtype])]
    quiet = int(np.array(np.nan, dtype).view(BITS[dtype]))
    sign = 1 << (limits.bits - 1)
    return [each | s for each in [*positive, quiet, quiet | 1, quiet | 0x2A5] for s in (0, sign)]


def quiet(bits, dtype):
    """Make signalling NaNs quiet ones: no computation yields a signalling one, and any arithmetic quiets it."""
    return np.where(np.isnan(bits.view(dtype)), bits | np.array(np.nan, dtype).view(BITS[dtype]), bits)


def arrays(shape, dtype):
    some = st.sampled_from(special_bits(dtype)) | st.integers(0, np.iinfo(BITS[dtype]).max)
    return hnp.arrays(BITS[dtype], shape, elements=some).map(lambda bits: quiet(bits, dtype).view(dtype))


@st.composite
def weights_of_networks(draw):
    sizes = [draw(st.integers(1, 3)) for _ in range(4)]
    output = draw(st.none() | st.integers(1, 3))
    cell, reset = draw(st.sampled_from(CELLS))
    structure = Structure(cell, draw(st.integers(1, 3)), *sizes, output, reset, draw(st.integers(1, 2)))
    dtype = draw(st.sampled_from(sorted(BITS)))
    return structure, {name: draw(arrays(shape, dtype)) for name, shape in structure.weights.items()}


def assert_same_bits(actual, expected):
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        assert actual[name].dtype == array.dtype, name
        assert actual[name].shape == array.shape, name
        assert actual[name].tobytes() == array.tobytes(), f"{name}: {actual[name]} instead of {array}"


def apart_from_forget_biases(tensors, structure):
    """Return the parts that tf1 stores less ``FORGET_BIAS``, and everything else."""
    blocks, H = structure.blocks if structure.cell == "lstm" else (), structure.hidden
    rest = {name: array.copy() for name, array in tensors.items()}
    forget = [rest[f"{block}.b_h"][H : 2 * H] for block in blocks]
    of_forget = [each.copy() for each in forget]
    for each in forget:
        each[:] = 0
    return of_forget, rest


@pytest.mark.slow
@pytest.mark.parametrize("layout", layouts())
@settings(max_examples=30, deadline=None, derandomize=True)
@given(case=weights_of_networks())
def test_weights_there_and_back(layout, case):
    structure, weights = case
    before = {name: array.copy() for name, array in weights.items()}
    there = layouts()[layout].from_canonical(weights, structure)
    back = layouts()[layout].to_canonical(there, structure)
    assert_same_bits(weights, before)
    if layout == "tf1":
        (ours, back), (theirs, weights) = (apart_from_forget_biases(each, structure) for each in (back, weights))
        for actual, expected in zip(ours, theirs, strict=True):
            finite = np.isfinite(expected)
            np.testing.assert_array_equal(actual[~finite], expected[~finite])
            unit = np.finfo(expected.dtype).eps * np.maximum(np.abs(expected[finite]), 1)
            assert (np.abs(actual[finite] - expected[finite]) <= unit).all()
    assert_same_bits(back, weights)


@pytest.mark.slow
@pytest.mark.parametrize("layout", layouts())
@settings(max_examples=30, deadline=None, derandomize=True)
@given(case=weights_of_networks())
def test_gradients_there_and_back(layout, case):
    structure, gradients = case
    there = layouts()[layout].gradients_from_canonical(gradients, structure)
    assert_same_bits(layouts()[layout].gradients_to_canonical(there, structure), gradients)


@pytest.mark.parametrize("dtype", BITS)
@pytest.mark.parametrize("layout", layouts())
def test_every_special_number_survives(layout, dtype):
    bits = np.array(special_bits(dtype), BITS[dtype])
    structure = Structure("rnn", 2, 1, 1, len(bits), len(bits), len(bits))
    numbers = {name: np.resize(bits, shape).view(dtype) for name, shape in structure.weights.items()}
    there = layouts()[layout].from_canonical(numbers, structure)
    assert_same_bits(layouts()[layout].to_canonical(there, structure), numbers)
    gradients = layouts()[layout].gradients_from_canonical(numbers, structure)
    assert_same_bits(layouts()[layout].gradients_to_canonical(gradients, structure), numbers)


@pytest.mark.parametrize("layout", layouts())
@settings(max_examples=10, deadline=None, derandomize=True)
@given(case=weights_of_networks())
def test_the_shapes_are_those_that_conversion_gives(layout, case):
    structure, weights = case
    there = layouts()[layout].from_canonical(weights, structure)
    assert {name: array.shape for name, array in there.items()} == layouts()[layout].shapes(structure)
    assert list(there) == list(layouts()[layout].shapes(structure))
    assert {array.dtype for array in there.values()} == {array.dtype for array in weights.values()}
    gradients = layouts()[layout].gradients_from_canonical(weights, structure)
    assert {name: array.shape for name, array in gradients.items()} == layouts()[layout].shapes(structure)
