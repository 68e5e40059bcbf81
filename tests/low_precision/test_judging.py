"""Right answers that round everywhere pass; wrong ones of one per cent do not, and larger faults have their name."""

import numpy as np
import pytest

import harness
from harness.derive.operations import Carry
from harness.derive.recording import Recording, answered
from harness.derive.reverse import contribution, gradients
from harness.low_precision import check
from harness.precision.formats import FORMATS
from harness.recurrences import recurrences

pytestmark = pytest.mark.slow


def rounding_everywhere(format, contributed=contribution, factors=None):
    """Return an implementation that rounds each result to the nearest number, as a processor does."""

    def answer(problem):
        sequences = problem.sequences
        recording = Recording(sequences, lambda value, _, __: format.round(value))
        found = {**answered(recording, sequences)} | gradients(
            recording,
            sequences,
            lambda node, k, g: format.round(contributed(node, k, g)),
            lambda one, other: format.round(one + other),
        )
        return {
            name: format.round(each * (factors or {}).get(name, 1.0)) for name, each in found.items() if name != "loss"
        }

    return answer


def without_slope_of_tanh(node, k, g):
    return g if node.operation.name == "tanh" else contribution(node, k, g)


def carried_twice(node, k, g):
    return 2 * g if isinstance(node.operation, Carry) else contribution(node, k, g)


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("rnn", "bfloat16"),
        ("min_gru", "float16"),
        ("delta_net", "bfloat16"),
        pytest.param("ind_rnn", "bfloat16", id="ind_rnn, whose rectifier flips by rounding"),
        pytest.param("qrnn", "float8_e4m3fn", id="qrnn in eight bits, whose roundings are not fair"),
        pytest.param("ssd", "float8_e4m3fn", id="ssd in eight bits, where elements overflow"),
    ],
)
def test_right_answers_pass(name, format):
    with np.errstate(all="ignore"):
        report = check(rounding_everywhere(FORMATS[format]), recurrences()[name], format, {"B": 4})
    assert report.matches, report


def test_a_wrong_factor_is_seen_in_eight_bits():
    report = check(
        rounding_everywhere(FORMATS["float8_e4m3fn"], factors={"F0": 1.2}), recurrences()["qrnn"], "float8_e4m3fn"
    )
    assert [each.tensor for each in report.tensors if each.faults] == ["F0"], report


def test_a_tensor_that_rounding_makes_overflow_is_not_judged():
    with np.errstate(all="ignore"):
        report = check(rounding_everywhere(FORMATS["float8_e4m3fn"]), recurrences()["rwkv7"], "float8_e4m3fn", {"B": 2})
    reasons = {each.tensor: each.reason for each in report.tensors if each.reason}
    assert reasons["S0"] == "cannot be judged: rounding alone makes it overflow on 24 of 24 problems"


@pytest.mark.parametrize(("tensor", "factor"), [("W_hh", 1.01), ("W_xh", 0.99), ("b_h", 1.02), ("inputs.x", 1.005)])
def test_a_wrong_factor_of_one_tensor_is_seen(tensor, factor):
    report = check(rounding_everywhere(FORMATS["bfloat16"], factors={tensor: factor}), recurrences()["rnn"], "bfloat16")
    wrong = [each for each in report.tensors if each.faults]
    assert [each.tensor for each in wrong] == [tensor], report
    assert wrong[0].projection == pytest.approx(factor - 1, abs=2e-3)
    assert f"it is {1 + wrong[0].projection:.5g} times the right gradient on average" in str(report)


@pytest.mark.parametrize(("contributed", "fault"), [(without_slope_of_tanh, "slope"), (carried_twice, "doubled")])
def test_a_fault_has_its_name(contributed, fault):
    report = check(rounding_everywhere(FORMATS["bfloat16"], contributed), recurrences()["rnn"], "bfloat16")
    assert not report.matches
    assert report.diagnoses, report
    assert fault in report.diagnoses[0].fault, report


def test_a_wrong_shape_or_nan_is_said():
    def answer(problem):
        found = rounding_everywhere(FORMATS["bfloat16"])(problem)
        return {"W_hh": found["W_hh"].T[:-1], "b_h": found["b_h"] * np.nan}

    text = str(check(answer, recurrences()["rnn"], "bfloat16"))
    assert "has shape (" in text
    assert "elements are NaN or infinite" in text


def test_no_tensor_at_all_is_no_match():
    report = check(lambda _: {}, recurrences()["rnn"], "bfloat16")
    assert not report.matches
    assert "returned no tensor" in str(report)


def test_an_assertion_takes_the_declaration_of_an_implementation():
    right = rounding_everywhere(FORMATS["bfloat16"])
    mine = harness.implementation("mine", recurrence="rnn", rounds="bfloat16")(right)
    harness.assert_gradients_match(mine, recurrences()["rnn"])
    with pytest.raises(AssertionError, match="rnn with bfloat16, 24 problems: WRONG"):
        harness.assert_gradients_match(
            rounding_everywhere(FORMATS["bfloat16"], factors={"b_h": 1.05}), recurrences()["rnn"], rounds="bfloat16"
        )


def test_rounds_needs_a_recurrence():
    with pytest.raises(ValueError, match="rounds needs a recurrence"):
        harness.assert_gradients_match(rounding_everywhere(FORMATS["bfloat16"]), "basic/tanh", rounds="bfloat16")
