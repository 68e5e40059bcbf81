"""What is compared with what: names, subsets, results; and what a failure says."""

import numpy as np
import pytest

from harness.comparison import ComparisonPolicy, compare
from harness.result import Result

random = np.random.default_rng(3)
EXPECTED = {
    "loss": np.array(2.5),
    "outputs": random.normal(size=(2, 3, 4)),
    "layer0.W_hh": random.normal(size=(4, 4)),
    "layer0.b_h": random.normal(size=4),
    "layer1.b_h": random.normal(size=4),
    "inputs": random.normal(size=(2, 3, 5)),
}


def changed(**by_tensor):
    actual = {name: tensor.copy() for name, tensor in EXPECTED.items()}
    for name, change in by_tensor.items():
        name = name.replace("__", ".")
        actual[name] = change(actual[name])
    return actual


def with_value(value):
    def change(tensor):
        tensor.flat[3] = value
        return tensor

    return change


def test_a_missing_tensor_is_a_mismatch_unless_it_may_be_missing():
    partial = {name: tensor for name, tensor in EXPECTED.items() if name != "inputs"}
    comparison = compare(partial, EXPECTED)
    assert [(each.tensor, each.reason, each.failed) for each in comparison.disagreements] == [
        ("inputs", "is missing", 30)
    ]
    comparison = compare(partial, EXPECTED, ComparisonPolicy(complete=False))
    assert comparison.matches
    assert comparison.not_provided == ("inputs",)
    assert comparison.elements == sum(tensor.size for tensor in partial.values())


def test_an_extra_tensor_is_a_mismatch_with_the_nearest_name():
    misnamed = {name.replace("layer1.b_h", "layer1.bh"): tensor for name, tensor in EXPECTED.items()}
    reasons = {
        each.tensor: each.reason for each in compare(misnamed, EXPECTED, ComparisonPolicy(complete=False)).disagreements
    }
    assert list(reasons) == ["layer1.bh"]
    assert "did you mean 'layer1.b_h'?" in reasons["layer1.bh"]


def test_every_element_of_every_tensor_is_compared_once():
    comparison = compare(EXPECTED, EXPECTED, ComparisonPolicy(collect="all"))
    assert [each.tensor for each in comparison.tensors] == list(EXPECTED)
    assert comparison.elements == sum(tensor.size for tensor in EXPECTED.values())
    for each in comparison.tensors:
        positions = np.concatenate([chunk.position for chunk in each.metrics.collected])
        assert positions.tolist() == list(range(EXPECTED[each.tensor].size))


def test_results_can_be_compared_too():
    gradients = {name: tensor for name, tensor in EXPECTED.items() if name not in ("loss", "outputs")}
    result = Result(EXPECTED["loss"], EXPECTED["outputs"], gradients, 0.0)
    assert compare(result, EXPECTED).matches
    assert list(result.tensors) == list(EXPECTED)


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="nothing was compared"):
        compare({}, EXPECTED, ComparisonPolicy(complete=False))
    assert compare({}, EXPECTED).verdict == "mismatch"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_same_nonfinite_value_matches_only_where_it_is_allowed(value):
    both = changed(inputs=with_value(value))
    assert compare(both, both).verdict == "mismatch"
    assert compare(both, both, ComparisonPolicy(nonfinite="allowed")).matches
    assert compare(both, EXPECTED, ComparisonPolicy(nonfinite="allowed")).verdict == "error"
    assert compare(EXPECTED, both, ComparisonPolicy(nonfinite="allowed")).verdict == "mismatch"


def test_infinity_is_not_within_a_relative_bound_of_infinity():
    infinite, finite = changed(inputs=with_value(np.inf)), EXPECTED
    assert not compare(
        finite, infinite, ComparisonPolicy(tolerance={"rtol": 0.5, "atol": 1.0}, nonfinite="allowed")
    ).matches


def test_a_failure_says_where_what_and_how_much_was_allowed():
    actual = changed(layer0__b_h=with_value(1.0))
    text = str(compare(actual, EXPECTED, ComparisonPolicy(tolerance={"atol": 1e-9})))
    assert "layer0.b_h: 1 of 4 elements outside the tolerance; worst at [3]: actual 1.0, expected" in text
    assert "allowed 1e-09 (the case's tolerance)" in text
