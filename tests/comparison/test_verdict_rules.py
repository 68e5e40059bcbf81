"""From errors to verdicts: an error is worse than a mismatch, a mismatch worse than a match."""

from itertools import product

import numpy as np
import pytest

from harness.comparison import SEVERITY, ComparisonPolicy, compare, measure
from harness.comparison.verdict import of_metrics

ONE = np.ones(4)


def verdict_of(actual, expected=ONE, **options):
    return of_metrics(measure(np.array(actual, np.float64), expected, rtol=0, atol=0.5, **options))


def test_within_the_bound_is_a_match_and_needs_no_reason():
    assert verdict_of([1, 1.5, 0.5, 1]) == ("match", "")


def test_outside_the_bound_is_a_mismatch_that_is_counted():
    verdict, reason = verdict_of([1, 1.75, 3, 1])
    assert verdict == "mismatch"
    assert reason.startswith("2 of 4 elements")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("allowed", [False, True], ids=["refused", "allowed"])
def test_not_finite_where_the_baseline_is_finite_is_an_error(value, allowed):
    verdict, reason = verdict_of([value, 5, value, 1], nonfinite_allowed=allowed)
    assert verdict == "error"
    assert reason.startswith("2 of 4 not finite")


def test_a_baseline_that_is_not_finite_makes_no_error_of_a_finite_answer():
    assert verdict_of([1, 1, 1, 1], np.array([np.nan, 1, 1, 1]))[0] == "mismatch"
    assert verdict_of([1, 1, 1, 1], np.array([np.inf, 1, 1, 1]), nonfinite_allowed=True)[0] == "mismatch"


def test_the_same_nonfinite_number_is_a_mismatch_unless_allowed():
    both = np.array([np.nan, np.inf, -np.inf, 1])
    assert verdict_of(both, both)[0] == "mismatch"
    assert verdict_of(both, both, nonfinite_allowed=True) == ("match", "")


def test_the_order_of_severity():
    assert SEVERITY == ("unsupported", "match", "mismatch", "error")


TENSORS = {"match": 1.0, "mismatch": 2.0, "error": np.nan}


@pytest.mark.parametrize("verdicts", list(product(TENSORS, repeat=3)), ids="-".join)
def test_the_verdict_on_several_tensors_is_the_worst_of_theirs(verdicts):
    actual = {str(i): np.array([TENSORS[verdict]]) for i, verdict in enumerate(verdicts)}
    comparison = compare(actual, {name: np.ones(1) for name in actual})
    assert [each.verdict for each in comparison.tensors] == list(verdicts)
    assert comparison.verdict == max(verdicts, key=["match", "mismatch", "error"].index)
    assert comparison.matches == (set(verdicts) == {"match"})
    assert sorted(each.tensor for each in comparison.disagreements) == [
        str(i) for i, verdict in enumerate(verdicts) if verdict != "match"
    ]


def test_disagreements_stand_in_the_order_of_their_severity_and_size():
    expected = {name: np.ones(1) for name in ("right", "little", "much", "nan", "much too")}
    numbers = {"right": 1, "little": 1.1, "much": 9, "nan": np.nan, "much too": 9}
    comparison = compare({name: np.array([float(number)]) for name, number in numbers.items()}, expected)
    assert [each.tensor for each in comparison.disagreements] == ["nan", "much", "much too", "little"]


def test_a_missing_tensor_stands_before_any_finite_error():
    comparison = compare({"wrong": np.array([1e100])}, {"wrong": np.ones(1), "missing": np.ones(2)})
    assert [each.tensor for each in comparison.disagreements] == ["missing", "wrong"]
    assert comparison.elements == 3


@pytest.mark.parametrize(("given", "wanted"), [({}, {}), ({}, {"loss": np.ones(1)})], ids=["no tensors", "none given"])
def test_nothing_compared_is_refused(given, wanted):
    with pytest.raises(ValueError, match="nothing was compared"):
        compare(given, wanted, ComparisonPolicy(complete=False))


def test_collecting_elements_changes_no_verdict():
    actual, expected = {"x": np.array([1.0, 2.0, np.nan])}, {"x": np.array([1.0, 3.0, 4.0])}
    kept = {}
    for collect in ("none", "failed", "all"):
        (tensor,) = compare(actual, expected, ComparisonPolicy(collect=collect)).tensors
        assert (tensor.verdict, tensor.failed) == ("error", 2)
        kept[collect] = sum(map(len, tensor.metrics.collected))
    assert kept == {"none": 0, "failed": 2, "all": 3}
