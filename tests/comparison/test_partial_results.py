"""A result that is known in part is compared in that part: every known element, no other, each counted once."""

import numpy as np
import pytest

from harness.case import Loss, Sizes, ValidCase
from harness.comparison import ComparisonPolicy, compare
from harness.execution.processes.messages import of_result, to_results
from harness.execution.processes.transport import Message
from harness.implementations import Partial, implementation
from harness.layout import layouts
from harness.problem import build
from harness.result import Result, read, run

KNOWN = np.array([[True, False, False], [False, True, True]])
EXPECTED = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def result(values, known=None, half_units=None, name="layer0.W_xh"):
    return Result(
        None,
        None,
        {name: np.array(values)},
        0.0,
        {} if known is None else {name: known},
        {} if half_units is None else {name: half_units},
    )


def only_tensor(actual, expected=EXPECTED, **options):
    comparison = compare(actual, {"layer0.W_xh": expected}, ComparisonPolicy(**options))
    (tensor,) = comparison.tensors
    return tensor


def test_unknown_elements_have_no_say():
    actual = np.where(KNOWN, EXPECTED, np.nan)
    tensor = only_tensor(result(actual, KNOWN))
    assert tensor.verdict == "match"
    assert (tensor.elements, tensor.size, tensor.failed) == (3, 6, 0)
    assert tensor.reason == "3 of 6 elements compared"


@pytest.mark.parametrize("index", [(0, 0), (1, 1), (1, 2)], ids=str)
def test_a_wrong_known_element_is_found_where_it_stands(index):
    actual = np.where(KNOWN, EXPECTED, 99.0)
    actual[index] *= 1 + 1e-9
    tensor = only_tensor(result(actual, KNOWN), collect="all")
    assert tensor.verdict == "mismatch"
    assert tensor.failed == 1
    assert tensor.worst_index == index
    assert tensor.reason == "1 of 3 elements outside the tolerance; 3 of 6 elements compared"
    (chunk,) = tensor.metrics.collected
    assert [tuple(map(int, np.unravel_index(each, (2, 3)))) for each in chunk.position] == [(0, 0), (1, 1), (1, 2)]
    assert chunk.expected.tolist() == EXPECTED[KNOWN].tolist()


def test_a_known_element_that_is_not_finite_is_an_error():
    actual = np.where(KNOWN, EXPECTED, 0.0)
    actual[1, 1] = np.nan
    assert only_tensor(result(actual, KNOWN)).verdict == "error"


def test_the_default_tolerance_is_that_of_the_whole_tensor():
    """Scaled by the largest element, be it among the known or not."""
    known = np.array([[True, False, False], [False, False, False]])
    tensor = only_tensor(result(EXPECTED, known))
    assert tensor.bound == only_tensor(result(EXPECTED)).bound


def test_an_expected_part_is_compared_in_that_part():
    expected = result(np.where(KNOWN, EXPECTED, np.nan), KNOWN)
    assert compare({"layer0.W_xh": np.where(KNOWN, EXPECTED, -1.0)}, expected).matches
    assert not compare({"layer0.W_xh": np.where(KNOWN, -1.0, EXPECTED)}, expected).matches


def test_two_parts_are_compared_where_they_meet():
    other = np.array([[True, True, True], [False, False, False]])
    tensor = compare(result(EXPECTED, other), result(EXPECTED, KNOWN)).tensors[0]
    assert (tensor.verdict, tensor.elements) == ("match", 1)
    nowhere = compare(result(EXPECTED, ~KNOWN), result(EXPECTED, KNOWN)).tensors[0]
    assert (nowhere.verdict, nowhere.reason) == ("mismatch", "has no element that is known to both sides")


def test_printed_digits_are_a_bound_of_each_element():
    """0.50 and 7 under half units of 0.005 and 0.5; one ulp more than that is a mismatch."""
    expected, half_unit = np.array([[0.5, 7.0]]), np.array([[0.005, 0.5]])
    for moved, verdict in (([0.5049, 7.0], "match"), ([0.5051, 7.0], "mismatch"), ([0.5, 7.49], "match")):
        tensor = only_tensor(result([moved], half_units=half_unit), expected)
        assert tensor.verdict == verdict, moved
    assert only_tensor(result([[0.5, 7.51]], half_units=half_unit), expected).worst_index == (0, 1)
    exact = only_tensor(result([[0.505, 6.5]], half_units=half_unit), expected)  # a tie may be rounded either way
    assert exact.verdict == "match"
    assert exact.bound.atol == pytest.approx(0.5)
    assert exact.bound.origin.startswith("half a unit in the last known digit, and 16 units")


def problem():
    case = ValidCase(name="c", file="c", sizes=Sizes(2, 3, 4, 5), loss=Loss("dot"), upstream="ones")
    return build(case, None)


@pytest.mark.parametrize("layout", layouts())
def test_a_part_survives_every_layout(layout):
    """Elements that depend on an unknown one are unknown in the canonical layout, and no others are."""
    structure = problem().structure
    random = np.random.default_rng(0)
    gradients = {name: random.normal(size=shape) for name, shape in structure.weights.items()}
    whole = layouts()[layout].gradients_from_canonical(gradients, structure)
    canonical = read(whole, layout, problem(), 0.0)
    assert not canonical.known
    for name, values in whole.items():
        for position in (0, values.size - 1):
            known = np.ones(values.shape, bool)
            known.reshape(-1)[position] = False
            spoilt = values.copy()
            spoilt.reshape(-1)[position] = 1e9
            found = read({**whole, name: Partial(spoilt, known, np.zeros(values.shape))}, layout, problem(), 0.0)
            assert sum((~each).sum() for each in found.known.values()) == 1, name
            for tensor, array in found.gradients.items():
                same = array == canonical.gradients[tensor]
                np.testing.assert_array_equal(same, found.known.get(tensor, np.ones(array.shape, bool)))


@pytest.mark.parametrize(
    ("partial", "layout", "message"),
    [
        (Partial(EXPECTED, KNOWN[0], np.zeros((2, 3))), "split", r"known of x has shape \(3,\)"),
        (Partial(EXPECTED, KNOWN, np.zeros(3)), "split", r"half_unit of x has shape \(3,\)"),
        (Partial(EXPECTED, KNOWN.astype(int), np.zeros((2, 3))), "split", "array of bool"),
        (Partial(EXPECTED, ~KNOWN & KNOWN, np.zeros((2, 3))), "split", "nothing of x is known"),
        (Partial(EXPECTED, KNOWN, np.ones((2, 3))), "torch", "understood in the layout split"),
    ],
    ids=["known", "half_unit", "dtype", "nothing", "layout"],
)
def test_a_part_that_makes_no_sense_is_refused(partial, layout, message):
    with pytest.raises(TypeError, match=message):
        read({"x": partial}, layout, problem(), 0.0)


def test_a_part_survives_the_way_from_a_worker():
    sent = result(EXPECTED, KNOWN, np.full((2, 3), 0.5))
    received = to_results(Message(*of_result(sent)))[0]
    np.testing.assert_array_equal(received.known["layer0.W_xh"], KNOWN)
    np.testing.assert_array_equal(received.half_units["layer0.W_xh"], np.full((2, 3), 0.5))
    assert received.gradients.keys() == {"layer0.W_xh"}


def test_an_implementation_returns_a_part():
    @implementation("half", layout="split")
    def half(given):
        shape = given.weights["layer0.W_xh"].shape
        known = np.zeros(shape, bool)
        known[0] = True
        return {"layer0.W_xh": Partial(np.ones(shape), known, np.zeros(shape))}

    found = run(half, problem())
    assert found.known["layer0.W_xh"].sum() == 5


def test_only_keeps_a_tensor_with_what_is_known_of_it():
    whole = Result(np.array(1.0), None, {"a": EXPECTED, "b": EXPECTED}, 0.0, {"a": KNOWN, "b": KNOWN})
    one = whole.only({"a"})
    assert one.tensors.keys() == {"a"}
    assert one.known.keys() == {"a"}
    assert whole.only({"loss"}).tensors.keys() == {"loss"}


def test_half_units_may_be_left_out_or_be_one_number():
    two = Partial(EXPECTED, KNOWN)
    assert two.half_unit.shape == EXPECTED.shape
    assert not two.half_unit.any()
    assert (Partial(EXPECTED, KNOWN, np.float64(0.5)).half_unit == 0.5).all()
    only = only_tensor(result(two.values, two.known, two.half_unit))
    assert (only.verdict, only.elements) == ("match", 3)
