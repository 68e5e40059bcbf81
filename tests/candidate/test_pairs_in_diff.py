"""``harness diff`` keeps two biases apart that are one in the canonical layout."""

import pytest

IN_TORCH = """
from harness.layout import layouts


@harness.implementation("mine", layout="torch")
def mine(problem):
    from harness.problem import Problem
    canonical = layouts()["torch"].to_canonical(problem.weights, problem.structure)
    answer = right(Problem(problem.case, canonical, problem.initial_state, problem.inputs, problem.targets))
    weights = {name: each for name, each in answer.items() if name in canonical}
    others = {name: each for name, each in answer.items() if name not in canonical}
    found = layouts()["torch"].gradients_from_canonical(weights, problem.structure)
    CHANGE
    return {**others, **found}
"""


@pytest.fixture
def reported(check):
    """Return a function that writes a report of what is changed in the answer."""

    def write(out, change, *options):
        done = check(IN_TORCH.replace("CHANGE", change), "--out", out, *options, function=":mine")
        assert "layout torch" in done.out
        return done

    return write


def diff(check, one, other):
    done = check.command("diff", one, other, "--json")
    return done.status, [(each["tensor"], each["before"], each["after"]) for each in done.json["tensors"]]


def test_a_bias_that_is_no_longer_returned_is_worse(check, reported):
    assert reported("both", "pass").status == 0
    done = reported("one", "del found['bias_hh_l0']")
    assert done.status == 0
    assert "Not returned, so not compared: inputs, bias_hh_l0" in done.out
    assert diff(check, "both", "one") == (1, [("bias_hh_l0", "compared with its pair", "not compared")])
    assert diff(check, "one", "both") == (0, [("bias_hh_l0", "not compared", "compared with its pair")])
    assert diff(check, "one", "one") == (0, [])


def test_the_other_one_is_another(check, reported):
    reported("one", "del found['bias_hh_l0']")
    reported("other", "del found['bias_ih_l0']")
    status, tensors = diff(check, "one", "other")
    assert status == 1
    assert {each[0] for each in tensors} == {"bias_ih_l0", "bias_hh_l0"}


def test_where_all_are_required_it_is_a_mismatch(reported):
    assert reported("one", "del found['bias_hh_l0']", "--require-all").status == 1


def test_two_biases_that_differ_otherwise_are_another_mismatch(check, reported):
    assert reported("double", "found['bias_hh_l0'] = 2 * found['bias_hh_l0']").status == 1
    assert reported("triple", "found['bias_hh_l0'] = 3 * found['bias_hh_l0']").status == 1
    status, ((tensor, before, after),) = diff(check, "double", "triple")
    assert (status, tensor) == (0, "bias_hh_l0")
    assert before.startswith("mismatch: bias_ih_l0 and bias_hh_l0 are only ever added")
    assert before != after
    assert diff(check, "double", "double") == (0, [])
