"""A truncated case is compared with its own gradient: whoever computes another is wrong, whoever cannot says so."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import harness
from harness.case import Loss, Sizes, ValidCase, load
from harness.execution.session import compare_for
from harness.implementations import Promise, implementations
from harness.precision.rounding_noise import rounding_noise
from harness.problem import build
from harness.result import run
from tests.api.conftest import right as in_full

DETACH, WINDOW = {"kind": "detach", "every": 2}, {"kind": "window", "steps": 2}


def problem_of(truncation, **fields):
    numbers = {"normal": 1.0, "seed": 3}
    given = {
        "layers": 2,
        "sizes": Sizes(2, 6, 3, 4),
        "weights": {"uniform": (-0.9, 0.9), "seed": 1},
        "inputs": numbers,
        "initial_state": numbers,
        "loss": Loss("dot"),
        "upstream": numbers,
    }
    return build(ValidCase(name="truncated", file="none", truncation=truncation, **{**given, **fields}), None)


@pytest.mark.framework
@pytest.mark.parametrize("truncation", [DETACH, WINDOW], ids=lambda each: each["kind"])
@pytest.mark.parametrize("name", ["numpy-concat", "torch", "torch-cell", "keras", "tf1", "complex-step", "certified"])
@pytest.mark.parametrize("steps", ["all", (-1,)], ids=["all", "last"])
def test_every_implementation_has_the_same_truncated_gradient(workers, name, truncation, steps):
    """With a loss at the last step alone no gradient reaches the initial state: it is zero, not missing."""
    problem = problem_of(truncation, loss=Loss("dot", steps))
    outcome = workers.run(implementations()[name], problem)
    assert outcome.status == "ok", outcome.reason
    expected = run(implementations()["numpy-split"], problem)
    assert compare_for(problem, outcome.result, expected, rounding_noise(problem), Promise(complete=True)).matches
    in_full = run(implementations()["numpy-split"], problem_of("none", loss=Loss("dot", steps)))
    assert not compare_for(problem, outcome.result, in_full, rounding_noise(problem), Promise(complete=True)).matches
    assert outcome.result.gradients["layer0.h0"].any() == (steps == "all")


@pytest.mark.parametrize("truncation", [DETACH, WINDOW], ids=lambda each: each["kind"])
def test_the_full_gradient_is_a_mismatch_on_a_truncated_case(truncation):
    problem = problem_of(truncation)
    comparison = harness.compare(harness.run(in_full, problem), harness.run("numpy-split", problem))
    wrong = {each.tensor for each in comparison.tensors if each.verdict == "mismatch"}
    assert wrong == problem.structure.gradients.keys()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kind", "k"), [("detach", 6), ("detach", 100), ("window", 5), ("window", 10**30)])
def test_as_long_as_the_sequence_it_is_the_full_gradient(dtype, kind, k):
    problem = problem_of({"kind": kind, {"detach": "every", "window": "steps"}[kind]: k}, dtype=dtype)
    for name in ("numpy-split", "numpy-concat", "complex-step"):
        expected = run(implementations()[name], problem_of("none", dtype=dtype))
        for tensor, values in run(implementations()[name], problem).tensors.items():
            np.testing.assert_allclose(values, expected.tensors[tensor], rtol=0, atol=10 * np.finfo(dtype).eps)


CASES = Path(__file__).parents[3] / "cases"
LONG = [
    *((f"truncation/detach[truncation.every={k},layers=2,dtype=float64]", True) for k in (7, 9)),
    *((f"truncation/window[truncation.steps={k},layers=2,dtype=float64]", True) for k in (6, 9)),
    ("truncation/detach[truncation.every=3,layers=2,dtype=float64]", False),
    ("truncation/window[truncation.steps=4,layers=2,dtype=float64]", False),
    ("tutorials/token_sentences_truncated[truncation.steps=4,dtype=float64]", True),
    ("tutorials/token_sentences_truncated[truncation.steps=3,dtype=float64]", False),
]


@pytest.mark.parametrize(("name", "is_full"), LONG, ids=[name for name, _ in LONG])
def test_the_cases_that_reach_as_far_as_the_sequence_have_the_full_gradient(monkeypatch, name, is_full):
    monkeypatch.chdir(CASES.parent)
    (case,) = load([name]).cases
    truncated, full = (build(each, None) for each in (case, replace(case, truncation="none")))
    expected = run(implementations()["numpy-split"], full)
    actual = run(implementations()["numpy-split"], truncated)
    comparison = compare_for(truncated, actual, expected, rounding_noise(truncated), Promise(complete=True))
    assert comparison.matches == is_full


def test_who_has_only_some_truncations_says_so():
    @harness.implementation("mine", supports={"truncation": ("none", "detach")})
    def mine(problem):
        return in_full(problem)

    assert mine.reason_against(problem_of("none").case) == ""
    assert mine.reason_against(problem_of(DETACH).case) == ""
    reason = mine.reason_against(problem_of(WINDOW).case)
    assert reason == "truncation is window, but mine has only none or detach"


def test_an_implementation_of_one_s_own_is_told_the_truncation():
    seen = []

    def mine(problem):
        seen.append(problem.case.truncation)
        raise harness.Unsupported("only full gradients")

    for truncation in ("none", DETACH, WINDOW):
        with pytest.raises(harness.Unsupported, match="only full"):
            harness.run(mine, problem_of(truncation))
    assert seen == ["none", DETACH, WINDOW]
