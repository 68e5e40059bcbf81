"""The words of a comparison, in full: what a user reads when something disagrees."""

import numpy as np

from harness.comparison import Comparison, ComparisonPolicy, TensorComparison, compare
from harness.result import Result

EXPECTED = {"loss": np.array(2.0), "outputs": np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])}
TOLERANCE = {"atol": 1e-3, "rtol": 0.0}


def outputs_with(value, index=(1, 2)):
    outputs = EXPECTED["outputs"].copy()
    outputs[index] = value
    return outputs


def only(actual, expected, **options):
    (tensor,) = compare({"outputs": actual}, {"outputs": expected}, ComparisonPolicy(**options)).tensors
    return tensor


def test_a_match_counts_elements_and_tensors():
    assert str(compare(EXPECTED, EXPECTED)) == "match: 7 elements of 2 tensors"
    assert str(only(EXPECTED["outputs"], EXPECTED["outputs"])) == "outputs: match"


def test_a_match_that_has_something_to_say_says_it():
    tensor = only(EXPECTED["outputs"], EXPECTED["outputs"], noise={"outputs": 1.0})
    assert str(tensor) == "outputs: ill-conditioned: rounding alone takes more than half of its digits"


def test_a_mismatch_says_the_worst_element_in_full():
    wrong = compare({**EXPECTED, "outputs": outputs_with(6.25)}, EXPECTED, ComparisonPolicy(tolerance=TOLERANCE))
    assert str(wrong) == (
        "mismatch: 1 of 2 tensors disagree\n"
        "outputs: 1 of 6 elements outside the tolerance; worst at [1, 2]: actual 6.25, expected 6.0, off by 0.25, "
        "allowed 0.001 (the case's tolerance), 250 times the bound"
    )


def test_of_a_tensor_without_axes_the_worst_element_has_no_index():
    wrong = compare({**EXPECTED, "loss": np.array(2.5)}, EXPECTED, ComparisonPolicy(tolerance=TOLERANCE))
    assert "loss: 1 of 1 elements outside the tolerance; worst at []: actual 2.5, expected 2.0" in str(wrong)
    assert wrong.tensors[0].worst_index == ()


def test_values_have_the_digits_of_their_dtype():
    actual, expected = np.array([0.1], np.float32), np.array([0.3], np.float32)
    tensor = only(actual, expected)
    assert "actual 0.1, expected 0.3, off by 0.2," in str(tensor)
    assert tensor.written(float(actual[0])) == "0.1"


def test_what_was_never_compared_has_no_worst_element():
    missing = compare({"loss": EXPECTED["loss"]}, EXPECTED).tensors[1]
    assert (missing.worst_index, missing.failed, missing.elements, missing.size) == (None, 6, 6, 6)
    assert str(missing) == "outputs: is missing"


def test_a_wrong_shape_and_a_wrong_dtype_are_said():
    assert only(np.ones((3, 2)), np.ones((2, 3))).reason == (
        "has shape (3, 2), but should have (2, 3); it is the transpose, or has the shape of it"
    )
    assert (only(np.ones((3, 2)), np.ones((2, 3))).dtype, only(np.ones((3, 2)), np.ones((2, 3))).shape) == (
        "float64",
        (2, 3),
    )
    narrow = only(EXPECTED["outputs"].astype(np.float32), EXPECTED["outputs"])
    assert (narrow.verdict, narrow.reason) == ("mismatch", "has dtype float32, but should have float64")


def test_an_unexpected_tensor_says_its_shape_and_the_nearest_name_that_is_missing():
    (_, tensor) = compare(
        {"loss": EXPECTED["loss"], "output": np.ones((2, 2), np.float32)}, EXPECTED, ComparisonPolicy(complete=False)
    ).tensors
    assert tensor.reason == "of shape (2, 2) is no tensor of this case; did you mean 'outputs'?"
    assert (tensor.tensor, tensor.shape, tensor.dtype, tensor.verdict) == ("output", (2, 2), "float32", "mismatch")
    assert (tensor.bound, tensor.metrics, tensor.failed) == (None, None, 4)
    far = compare({**EXPECTED, "outputz": np.ones(1)}, EXPECTED).tensors[-1]
    assert far.reason == "of shape (1,) is no tensor of this case"  # the only one that is near was returned


def test_what_is_known_to_be_wrong_with_a_tensor_is_said_in_its_place():
    result = Result(EXPECTED["loss"], None, {"odd": np.ones(2)}, 0.0, misfits={"odd": "is odd"})
    assert compare(result, {"loss": EXPECTED["loss"]}).tensors[-1].reason == "is odd"


def test_a_tensor_in_another_dtype_of_its_own_is_judged_in_the_narrower():
    tensor = only(EXPECTED["outputs"].astype(np.float32), EXPECTED["outputs"], own_dtype=True)
    said = "returned as float32, where float64 went in, and judged as float32"
    assert (tensor.verdict, tensor.reason, tensor.dtype) == ("match", said, "float32")
    assert tensor.bound.atol == 16 * 2.0**-23 * 6


def test_what_was_not_provided_is_listed_and_nothing_else_is():
    comparison = compare({"loss": EXPECTED["loss"]}, EXPECTED, ComparisonPolicy(complete=False))
    assert comparison.not_provided == ("outputs",)
    assert compare(EXPECTED, EXPECTED).not_provided == ()
    assert (Comparison(comparison.tensors).not_provided, Comparison(comparison.tensors).untrained) == ((), "")
    assert isinstance(comparison.tensors[0], TensorComparison)


def test_a_tensor_of_the_wrong_shape_has_the_expected_shape_and_dtype_and_its_bound():
    turned = only(np.ones((3, 2)), np.ones((2, 3)))
    assert (turned.dtype, turned.shape, turned.metrics) == ("float64", (2, 3), None)
    assert turned.bound.origin == "16 units for outputs in float64: eps x largest element 1"
