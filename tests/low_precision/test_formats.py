"""Each format rounds as the hardware does, and a declaration says where an implementation rounds."""

import re

import numpy as np
import pytest

from harness.precision.formats import FORMATS, Rounds

random = np.random.default_rng(0)
NUMBERS = np.concatenate(
    [random.normal(size=500) * 10.0 ** random.integers(-12, 12, 500), [0.0, -0.0, 1.0, 65504.0, 65519.0, 65520.0, 1e-8]]
).astype(np.float32)


def test_float16_is_numpys():
    with np.errstate(over="ignore"):
        expected = NUMBERS.astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(FORMATS["float16"].round(NUMBERS), expected)


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
@pytest.mark.framework
def test_a_format_is_torchs(name):
    import torch

    expected = torch.tensor(NUMBERS).to(getattr(torch, name)).float().numpy()
    np.testing.assert_array_equal(FORMATS[name].round(NUMBERS), expected)


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2"])
@pytest.mark.framework
def test_a_format_of_eight_bits_is_torchs_up_to_its_largest_number(name):
    import torch

    inside = NUMBERS[np.abs(NUMBERS) <= FORMATS[name].largest]
    expected = torch.tensor(inside).to(getattr(torch, name)).float().numpy()
    np.testing.assert_array_equal(FORMATS[name].round(inside), expected)


def test_tf32_keeps_eleven_digits():
    assert FORMATS["tf32"].round(np.array([1 + 2**-10, 1 + 2**-11, 1 + 3 * 2**-11])).tolist() == [
        1 + 2**-10,
        1.0,
        1 + 2**-9,
    ]


def test_numbers_outside_of_a_range_are_limited():
    given = np.array([2.0**-9, 0.7 * 2.0**-9, 0.4 * 2.0**-9, 1.3, 500.0, -500.0])
    assert FORMATS["float8_e4m3fn"].limited(given).tolist() == [2.0**-9, 2.0**-9, 0.0, 1.3, np.inf, -np.inf]
    assert FORMATS["bfloat16"].limited(given) is given


@pytest.mark.parametrize("name", ["bfloat16-truncated", "tf32-truncated"])
def test_digits_are_cut_off(name):
    format, exact = FORMATS[name], NUMBERS.astype(np.float64)
    cut = format.round(exact)
    assert (np.abs(cut) <= np.abs(exact)).all()
    assert (np.abs(exact - cut) <= format.unit * np.abs(exact)).all()
    assert (np.abs(exact - cut) > format.unit / 2 * np.abs(exact)).any()


def test_a_mapping_gives_formats_by_operation():
    rounds = Rounds.of({"matmul": "bfloat16", "carry": "float16"})
    assert [rounds.at(each).name for each in ("matmul", "carry", "tanh", "stored")] == [
        "bfloat16",
        "float16",
        "float32",
        "float32",
    ]
    assert rounds.coarsest.name == "bfloat16"


def test_tf32_is_of_products_alone():
    rounds = Rounds.of("tf32")
    assert (rounds.at("einsum").name, rounds.at("tanh").name, rounds.stored.name) == ("tf32", "float32", "float32")


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        ("bflot16", "there is no number format 'bflot16'; did you mean 'bfloat16'?"),
        ({"matmull": "bfloat16"}, "rounds has 'matmull', which is no operation; did you mean 'matmul'?"),
        ({"matmul": "half"}, "there is no number format 'half'; there are float64, float32, tf32"),
    ],
)
def test_a_wrong_declaration_is_refused(declared, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        Rounds.of(declared)
