"""In anybody's test suite a function is tried out as ``harness check`` does it, in the same process."""

from dataclasses import replace

import numpy as np
import pytest

import harness

from .conftest import right


def test_lists_and_python_numbers_are_read(problem, case_file):
    def lists(problem):
        return {name: np.asarray(array).tolist() for name, array in right(problem).items()}

    result = harness.run(lists, problem)
    assert result.loss.dtype == np.float64
    np.testing.assert_array_equal(result.outputs, right(problem)["outputs"])
    harness.assert_gradients_match(lists, case_file)


def test_python_numbers_take_the_dtype_of_the_case(case_file):
    case_file.write_text(case_file.read_text() + "dtype: float32\n")

    def lists(problem):
        return {name: np.asarray(array).tolist() for name, array in right(problem).items()}

    assert harness.run(lists, harness.load_case(case_file).problem()).loss.dtype == np.float32
    harness.assert_gradients_match(lists, case_file)


@pytest.mark.framework
def test_torch_tensors_are_read(problem, case_file):
    torch = pytest.importorskip("torch")

    def tensors(problem):
        return {name: torch.tensor(array, requires_grad=True) for name, array in right(problem).items()}

    harness.assert_gradients_match(tensors, case_file)
    assert harness.compare(tensors(problem), right(problem)).matches
    rows = {"layer0.W_hh": [torch.tensor(row, requires_grad=True) for row in right(problem)["layer0.W_hh"]]}
    assert harness.compare(rows, {"layer0.W_hh": right(problem)["layer0.W_hh"]}).matches


def test_compare_takes_lists_in_the_dtype_beside_them():
    assert harness.compare({"loss": 0.5}, {"loss": np.float32(0.5)}).matches
    assert harness.compare({"loss": [0.5, 1]}, {"loss": np.array([0.5, 1.0])}).matches
    assert not harness.compare({"loss": [0.5, 2]}, {"loss": [0.5, 1.0]}).matches


def test_what_is_no_array_is_refused_by_name(problem):
    with pytest.raises(TypeError, match=r"layer0\.b_h should be an array of real numbers, but is an object"):
        harness.run(lambda _: {"layer0.b_h": object()}, problem)
    with pytest.raises(TypeError, match=r"layer0\.b_h should be an array of real numbers"):
        harness.compare({"layer0.b_h": "small"}, {"layer0.b_h": np.zeros(3)})
    with pytest.raises(TypeError, match="did you forget `return`"):
        harness.run(lambda _: None, problem)


def test_a_wrong_name_has_the_right_one(case_file):
    with pytest.raises(AssertionError, match=r"returned 'layer0\.W_hx'.*did you mean layer0\.W_xh\?"):
        harness.assert_gradients_match(lambda problem: {"layer0.W_hx": right(problem)["layer0.W_xh"]}, case_file)


def test_what_is_to_be_known_of_a_match_is_a_warning(case_file):
    def careless(problem):
        gradients = right(problem)
        problem.weights["layer0.W_hh"][...] = 0
        return gradients

    with pytest.warns(harness.HarnessWarning, match=r"it changes its inputs: problem\.weights\['layer0\.W_hh'\]"):
        harness.assert_gradients_match(careless, case_file)
    with pytest.warns(
        harness.HarnessWarning, match="returned as float32 for float64 inputs, compared as float32: loss"
    ):
        harness.assert_gradients_match(
            lambda problem: {name: np.float32(array) for name, array in right(problem).items()}, case_file
        )


def test_state_that_is_kept_fails(case_file):
    total = {}

    def accumulating(problem):
        for name, array in right(problem).items():
            total[name] = total.get(name, 0) + array
        return dict(total)

    with pytest.raises(AssertionError, match=r"twice the first(.|\n)*this is the second of its two answers"):
        harness.assert_gradients_match(accumulating, case_file)


def test_a_second_call_that_crashes_fails_with_its_cause(case_file):
    calls = []

    def once(problem):
        calls.append(problem)
        if len(calls) > 1:
            raise RuntimeError("only once")
        return right(problem)

    with pytest.raises(AssertionError, match="the second call raised RuntimeError: only once") as found:
        harness.assert_gradients_match(once, case_file)
    assert isinstance(found.value.__cause__, RuntimeError)


def test_what_the_first_call_raises_is_raised(case_file):
    with pytest.raises(ZeroDivisionError):
        harness.assert_gradients_match(lambda _: 1 / 0, case_file)


def test_clipping_is_said_first(case_file):
    def clipping(problem):
        return {name: np.clip(array, -0.5, 0.5) for name, array in right(problem).items() if name in problem.weights}

    with pytest.raises(AssertionError, match=r"\Agradients look clipped: .* are exactly ±0\.5"):
        harness.assert_gradients_match(clipping, case_file)


def test_cases_that_are_not_for_it_are_left_out(case_file):
    case_file.write_text(case_file.read_text() + "sweep: {activation: [tanh, relu]}\n")

    def only(activation):
        def function(problem):
            if problem.case.activation != activation:
                raise harness.Unsupported(f"only {activation}")
            return right(problem)

        return function

    harness.assert_gradients_match(only("tanh"), case_file)
    with pytest.raises(harness.Unsupported, match="only sigmoid"):
        harness.assert_gradients_match(only("sigmoid"), case_file)


def test_the_loss_refuses_outputs_of_another_shape(problem):
    with pytest.raises(
        ValueError, match=r"the argument of problem\.loss has shape \(3, 2, 5\), but should have \(2, 3, 5\)"
    ):
        problem.loss(np.zeros((3, 2, 5)))


def test_every_gradient_can_be_required(case_file):
    def in_part(problem):
        return {name: array for name, array in right(problem).items() if name != "layer1.b_h"}

    harness.assert_gradients_match(in_part, case_file)
    with pytest.raises(AssertionError, match=r"1 of 11 tensors disagree\nlayer1\.b_h: is missing\Z"):
        harness.assert_gradients_match(in_part, case_file, require_all=True)


def test_no_gradient_is_a_warning(case_file):
    with pytest.warns(harness.HarnessWarning, match="it returns no gradient, so its backward pass is not checked"):
        harness.assert_gradients_match(lambda problem: {"loss": right(problem)["loss"]}, case_file)


def test_the_baseline_may_not_represent_a_case(case_file):
    """A case without a baseline is left out, as one that the function cannot represent is."""
    case_file.write_text(case_file.read_text() + "sweep: {activation: [identity, tanh]}\n")
    harness.assert_gradients_match(right, case_file, baseline="closed-form")
    with pytest.raises(AssertionError):
        harness.assert_gradients_match(lambda _: {"loss": 0.0}, case_file, baseline="closed-form")


@pytest.mark.parametrize(
    ("tolerance", "said"),
    [
        (
            {"layer0.W_hx": {"atol": 1.0}},
            r"tolerance\['layer0.W_hx'\]: no tensor has this name here; did you mean 'layer0.W_xh'",
        ),
        (
            {"rtol": 1.0, "layer0.W_xh": {"atol": 1.0}},
            r"tolerance\['layer0.W_xh'\]: unknown key; known here: rtol, atol",
        ),
        ({"layer0.W_xh": {"atoll": 1.0}}, r"tolerance\['layer0.W_xh'\]\['atoll'\]: unknown key; did you mean 'atol'"),
        ({"layer0.W_xh": 1e-3}, r"tolerance\['layer0.W_xh'\]: 0.001 should be a mapping"),
        ({}, "tolerance: an empty tolerance says nothing; give rtol, atol or both"),
        ({"default": {}}, r"tolerance\['default'\]: an empty tolerance says nothing"),
        (1e-3, "tolerance: 0.001 should be a mapping; such as"),
        ({"atol": float("nan")}, r"tolerance\['atol'\]: nan should be a finite number, 0 or more"),
        ({"atol": np.float32("inf")}, r"tolerance\['atol'\]: inf should be a finite number"),
        ({"rtol": -1e-9, "atol": 1.0}, r"tolerance\['rtol'\]: -1e-09 should be a finite number, 0 or more"),
        ({"rtol": "1e-3"}, r"tolerance\['rtol'\]: '1e-3' should be a number"),
        ({"rtol": None}, r"tolerance\['rtol'\]: None should be a number"),
        ({"rtol": True}, r"tolerance\['rtol'\]: True should be a number"),
        ({"loss": {"atol": float("nan")}}, r"tolerance\['loss'\]\['atol'\]: nan should be a finite number"),
    ],
)
def test_a_tolerance_that_is_none_or_would_change_nothing_is_refused(problem, tolerance, said):
    expected = harness.run("numpy-split", problem)
    for other in (expected, right(problem)):
        with pytest.raises(ValueError, match=said):
            harness.compare(right(problem), other, tolerance=tolerance)


def test_a_case_that_python_made_with_such_a_tolerance_matches_nothing(case_file):
    case = replace(harness.load_case(case_file), tolerance={"atol": float("nan")})
    with pytest.raises(ValueError, match="atol of the case's tolerance: nan should be a finite number"):
        harness.assert_gradients_match(right, case)


def test_compare_takes_another_tolerance_than_the_cases(problem):
    expected = harness.run("numpy-split", problem)
    off = {"layer0.W_hh": right(problem)["layer0.W_hh"] + 1e-6}
    assert not harness.compare(off, expected).matches
    assert harness.compare(off, expected, tolerance={"layer0.W_hh": {"atol": 1e-5}}).matches
    assert harness.compare(off, right(problem), tolerance={"atol": 1e-5}).matches
    assert harness.compare(off, right(problem), tolerance={"atol": np.float32(1e-5), "rtol": 0}).matches


def test_compare_reads_another_layout(problem):
    from harness.layout import layouts

    expected = harness.run("numpy-split", problem)
    in_torch = layouts()["torch"].gradients_from_canonical(expected.gradients, problem.structure)
    assert "layout 'torch'" in harness.compare(in_torch, expected).disagreements[0].reason
    comparison = harness.compare(in_torch, expected, layout="torch")
    assert comparison.matches
    assert comparison.not_provided == ("loss", "outputs", "layer0.h0", "layer1.h0", "inputs")
    with pytest.raises(ValueError, match="need a problem"):
        harness.compare(in_torch, right(problem), layout="torch")


@pytest.mark.parametrize("returned", [{}, None, []], ids=["empty", "none", "a list"])
def test_compare_refuses_what_a_function_may_not_return(problem, returned):
    for expected in (harness.run("numpy-split", problem), right(problem)):
        with pytest.raises(TypeError, match="returned"):
            harness.compare(returned, expected)
