"""Python's own numbers and lists are compared as arrays are, and what is asked for by default is what the text says."""

import numpy as np
import pytest

from harness.case.training import LOSS_CURVE, of_step
from harness.comparison import ComparisonPolicy, compare
from harness.result.returned import NotReadable


@pytest.mark.parametrize("given", [2.0, [2.0], [[1, 2], [3, 4]]], ids=str)
def test_numbers_beside_numbers(given):
    assert compare({"loss": given}, {"loss": given}).matches
    (tensor,) = compare({"loss": given}, {"loss": (np.array(given) + 1).tolist()}).tensors
    assert (tensor.verdict, tensor.dtype, tensor.metrics.failed) == ("mismatch", "float64", np.size(given))


def test_numbers_beside_an_array_are_of_its_dtype():
    (tensor,) = compare({"loss": [0.1]}, {"loss": np.array([0.1], np.float32)}).tensors
    assert (tensor.verdict, tensor.dtype) == ("match", "float32")


def test_numbers_that_stand_beside_nothing():
    comparison = compare({"loss": [1.0], "looss": [2.0]}, {"loss": np.ones(1)})
    assert [each.verdict for each in comparison.tensors] == ["match", "mismatch"]
    assert comparison.tensors[1].reason == "of shape (1,) is no tensor of this case"


def test_of_what_is_wrong_the_elements_are_kept_unless_something_else_is_asked_for():
    (tensor,) = compare({"loss": [1.0, 2.0, 3.0]}, {"loss": [1.0, 2.5, 3.5]}).tensors
    (kept,) = tensor.metrics.collected
    assert kept.position.tolist() == [1, 2]


@pytest.mark.parametrize("side", [0, 1], ids=["actual", "expected"])
def test_what_is_no_array_is_named(side):
    given = [{"loss": 1.0}, {"loss": 1.0}]
    given[side] = {"loss": None}
    with pytest.raises(NotReadable, match=r"^loss is None"):
        compare(*given)


def test_each_step_of_a_curve_is_judged_by_its_own_noise():
    """The second step is noisy, and 1e-6 off there is a match; the first one is not."""
    curve, noise = np.array([1.0, 1.0]), {of_step(0): 0.0, of_step(1): 1e-6, LOSS_CURVE: 1e-6}
    for step, verdict in ((0, "mismatch"), (1, "match")):
        moved = curve.copy()
        moved[step] += 1e-6
        (tensor,) = compare({LOSS_CURVE: moved}, {LOSS_CURVE: curve}, ComparisonPolicy(noise=noise)).tensors
        assert tensor.verdict == verdict
        assert tensor.worst_index == (step,)


def test_nothing_at_all_is_no_match():
    with pytest.raises(ValueError, match=r"^nothing was compared: no tensor was provided$"):
        compare({}, {"loss": 1.0}, ComparisonPolicy(complete=False))
