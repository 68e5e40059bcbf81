"""Numbers of a narrower dtype in a wider one are known by their digits, and the loss has those of its outputs."""

import numpy as np
import pytest

import harness
from harness.tensors.digits import computed_in, fit_in

RANDOM = np.random.default_rng(3).normal(size=(4, 300))
NARROW = RANDOM.astype(np.float32).astype(np.float64)


def test_float64_numbers_are_not_float32_numbers():
    assert not fit_in("float32", [RANDOM])
    one_more = NARROW.copy()
    one_more[-1, -1] = RANDOM[-1, -1]
    assert not computed_in("float32", [NARROW, one_more]), "the last of many"


@pytest.mark.parametrize("spoilt", [np.nan, np.inf, 0.0])
def test_float32_numbers_are(spoilt):
    array = NARROW.copy()
    array[0, 0] = spoilt
    assert computed_in("float32", [array])


@pytest.mark.parametrize(
    "simple", [np.zeros(9), np.arange(9.0), np.full(9, 0.5), np.full(9, np.nan), np.zeros(0)], ids=str
)
def test_simple_numbers_say_nothing(simple):
    assert fit_in("float32", [simple])
    assert not computed_in("float32", [simple])


def test_a_float32_is_no_float16_and_a_float16_is_a_float32():
    half = RANDOM.astype(np.float16).astype(np.float64)
    assert computed_in("float16", [half])
    assert computed_in("float32", [half]) is False, "all are simple for that"
    assert not computed_in("float16", [NARROW])


@pytest.mark.parametrize("loss", ["squared_error", "dot", "softmax_cross_entropy"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "longdouble", "complex128"])
def test_the_loss_has_the_dtype_of_the_outputs(dtype, loss, tmp_path):
    (tmp_path / "case.yaml").write_text(
        "sizes: {batch: 2, time: 3, input: 2, hidden: 4}\nweights: {uniform: [-1, 1], seed: 1}\n"
        f"inputs: ones\ndtype: float64\nloss: {{kind: {loss}}}\n"
        + ("upstream: {normal: 1.0, seed: 1}\n" if loss == "dot" else "targets: {uniform: [0, 3], seed: 1}\n")
    )
    problem = harness.load_case(tmp_path / "case.yaml").problem()
    value, d_outputs = problem.loss(np.ones((2, 3, 4), dtype))
    assert (value.dtype, d_outputs.dtype) == (np.dtype(dtype), np.dtype(dtype))
    assert value.shape == ()
