"""A difference from the case's forward pass comes before the faults of the gradient."""

import warnings

import pytest

import harness

WRONG_BOTH_WAYS = """\
@harness.implementation("mine")
def mine(problem):
    found = right(problem)
    return {**found, "outputs": 1.01 * found["outputs"], "layer0.W_hh": found["layer0.W_hh"].T}
"""


def test_the_page_says_first_that_the_outputs_disagree(check):
    done = check(WRONG_BOTH_WAYS)
    assert done.status == 1
    hint = done.out.index("The outputs disagree")
    assert hint < done.out.index("Likely cause")
    assert done.out.index("  outputs: ") < done.out.index("  layer0.W_hh: ")
    assert done.out.count("The outputs disagree") == 1


def test_where_they_match_the_cause_is_first(check):
    done = check(WRONG_BOTH_WAYS.replace("1.01 * ", ""))
    assert done.out.index("Likely cause") < done.out.index("The outputs match")


def bptt(change):
    def mine(problem):
        found = harness.run("numpy-split", problem)
        return change({"loss": found.loss, "outputs": found.outputs, **found.gradients})

    return mine


def test_an_assertion_lists_the_forward_pass_first():
    def change(found):
        return {**found, "outputs": 1.0001 * found["outputs"], "layer0.W_hh": 100 * found["layer0.W_hh"]}

    with pytest.raises(AssertionError) as failed:
        harness.assert_gradients_match(bptt(change), "basic/tanh[dtype=float64]")
    text = str(failed.value)
    assert text.index("\noutputs: ") < text.index("\nlayer0.W_hh: ")


def test_one_habit_on_many_cases_is_one_warning():
    def change(found):
        return {name: each.astype("float64") for name, each in found.items()}

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        harness.assert_gradients_match(bptt(change), "basic/widths")
    texts = [str(each.message) for each in caught if "returned as float64" in str(each.message)]
    assert len(texts) == 1
    assert texts[0].endswith("(and in 5 more cases)")
    assert caught[0].filename == __file__, "it points to the call"
