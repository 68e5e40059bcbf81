"""The harness from Python, as somebody's own test suite uses it."""

import subprocess
import sys

import numpy as np
import pytest

import harness

from .conftest import right


def my_bptt(problem):
    """One who does it right, and returns no outputs."""
    return {name: array for name, array in right(problem).items() if name != "outputs"}


def my_transposed_bptt(problem):
    gradients = my_bptt(problem)
    gradients["layer1.W_hh"] = gradients["layer1.W_hh"].T
    return gradients


def test_importing_the_package_imports_nothing_else():
    code = "import sys, harness; print(sorted({'numpy', 'pydantic', 'pandas', 'torch', 'click'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_every_public_name_is_there():
    for name in harness.__all__:
        assert getattr(harness, name) is not None
    assert set(harness.__all__) <= set(dir(harness))
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        harness.nothing_of_the_kind  # noqa: B018
    with pytest.raises(AttributeError, match="'chek_implementation'; did you mean 'check_implementation'"):
        harness.chek_implementation  # noqa: B018


def test_a_case_becomes_a_problem(problem):
    assert problem.inputs.shape == (2, 3, 4)
    assert problem.weights["layer0.W_xh"].shape == (4, 5)
    assert problem.initial_state["layer1.h0"].shape == (2, 5)
    assert problem.upstream.shape == (2, 3, 5)
    assert problem.case.sizes.hidden == 5


def test_a_sweep_needs_load_cases(case_file):
    case_file.write_text(case_file.read_text() + "sweep: {sizes.time: [1, 2]}\n")
    assert [case.sizes.time for case in harness.load_cases(case_file)] == [1, 2]
    with pytest.raises(ValueError, match=r"2 cases.*load_cases"):
        harness.load_case(case_file)
    assert harness.load_case(f"{case_file}[sizes.time=2]").sizes.time == 2


def test_mistakes_are_raised_with_their_places(case_file):
    case_file.write_text("sizes: {batch: 0, time: 2, input: 3, hidden: 4}\nactivation: tan\n")
    with pytest.raises(harness.MistakesFound) as found:
        harness.load_case(case_file)
    assert [(each.line, each.column) for each in found.value.mistakes] == [(1, 16), (2, 13)]


def test_running_by_name_and_comparing(problem):
    split, concatenated = harness.run("numpy-split", problem), harness.run("numpy-concat", problem)
    comparison = harness.compare(concatenated, split)
    assert comparison.matches
    assert comparison.elements == sum(tensor.size for tensor in split.tensors.values())
    assert split.loss.shape == ()
    assert split.outputs.shape == (2, 3, 5)
    assert split.seconds > 0


def test_running_a_function(problem):
    result = harness.run(my_bptt, problem)
    np.testing.assert_array_equal(result.gradients["inputs"], harness.run("numpy-split", problem).gradients["inputs"])
    assert result.outputs is None


def test_an_unknown_name_has_a_nearest(problem):
    with pytest.raises(ValueError, match="did you mean 'numpy-split'"):
        harness.run("numpy-spilt", problem)


@pytest.mark.parametrize("layout", ["split", "concatenated", "torch", "keras", "tf1"])
def test_the_decorator_hands_over_each_layout(problem, layout):
    from harness.layout import layouts

    seen = {}

    @harness.implementation("mine", layout=layout)
    def mine(given):
        seen.update(given.weights)
        canonical = layouts()[layout].to_canonical(given.weights, given.structure)
        gradients = my_bptt(problem)
        for name in canonical:
            np.testing.assert_array_equal(canonical[name], problem.weights[name])
        own = layouts()[layout].gradients_from_canonical(gradients, given.structure)
        return {**own, "loss": gradients["loss"], "inputs": gradients["inputs"], "layer0.h0": gradients["layer0.h0"]}

    result = harness.run(mine, problem)
    assert seen.keys() == layouts()[layout].shapes(problem.structure).keys()
    comparison = harness.compare(result, harness.run("numpy-split", problem))
    assert comparison.matches
    assert comparison.not_provided == ("outputs", "layer1.h0")


def test_an_unknown_layout_has_a_nearest():
    with pytest.raises(ValueError, match="did you mean 'concatenated'"):
        harness.implementation("mine", layout="concatenate")


def test_assert_gradients_match(case_file):
    harness.assert_gradients_match(my_bptt, case_file)
    harness.assert_gradients_match(my_bptt, harness.load_case(case_file))
    with pytest.raises(AssertionError, match=r"layer1\.W_hh: 20 of 25 elements outside the tolerance; worst at"):
        harness.assert_gradients_match(my_transposed_bptt, case_file)


def test_assert_gradients_match_goes_through_a_sweep(case_file):
    case_file.write_text(case_file.read_text() + "sweep: {layers: [1, 2]}\n")
    with pytest.raises(KeyError):  # what the user's function raises is raised
        harness.assert_gradients_match(my_transposed_bptt, case_file)


def test_a_function_that_names_its_framework_runs_here(problem):
    """Only what is asked for by name runs in a process of its framework, which knows no function of anybody's."""
    framework = harness.implementations.Framework("elsewhere", ("numpy",), install="")
    mine = harness.implementation("mine", framework=framework)(my_bptt)
    assert harness.compare(harness.run(mine, problem), harness.run("numpy-split", problem)).matches


def test_unsupported_is_raised_with_the_reason(problem):
    def mine(problem):
        raise harness.Unsupported("no second layer here")

    with pytest.raises(harness.Unsupported, match="no second layer here"):
        harness.run(mine, problem)


def test_what_a_function_does_to_its_inputs_stays_with_it(problem):
    before = problem.weights["layer0.W_hh"].copy()

    def careless(given):
        gradients = my_bptt(given)
        for arrays in (given.weights, given.initial_state):
            for array in arrays.values():
                array[...] = 0
        given.inputs[...] = 0
        given.upstream[...] = 0
        return gradients

    result = harness.run(careless, problem)
    np.testing.assert_array_equal(problem.weights["layer0.W_hh"], before)
    assert harness.compare(result, harness.run("numpy-split", problem)).matches


@pytest.mark.parametrize(
    ("supports", "said"),
    [
        ({"layers": 1}, r"should have a tuple of values: supports=\{'layers': \(1,\)\}"),
        ({"activation": "tanh"}, r"supports=\{'activation': \('tanh',\)\}"),
        ({"layer": (1,)}, "no field of a case; did you mean 'layers'"),
    ],
    ids=["a number", "a word", "no field"],
)
def test_what_an_implementation_supports_is_looked_at_when_it_is_made(supports, said):
    with pytest.raises(ValueError, match=said):
        harness.implementation("mine", supports=supports)


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("framwork", "no argument 'framwork'; did you mean 'framework'"),
        ("lay_out", "did you mean 'layout'"),
        ("x", "there are complete"),
    ],
)
def test_an_unknown_argument_of_the_decorator(argument, said):
    with pytest.raises(TypeError, match=said):
        harness.implementation("mine", **{argument: True})
