"""``closed-form``: who it is for, what it refuses, and that it is as exact as a comparison asks."""

from dataclasses import replace

import pytest

from harness import Unsupported
from harness.case import Loss, Sizes, ValidCase
from harness.execution.session import compare_for
from harness.implementations import Promise, implementations
from harness.precision.rounding_noise import rounding_noise
from harness.problem import build
from harness.result import run

NUMBERS = {"normal": 1.0, "seed": 3}


def problem_of(dtype="float64", sizes=(2, 7, 3, 4), **fields):
    given = {"weights": {"uniform": (-0.6, 0.6), "seed": 1}, "activation": "identity", **fields}
    case = ValidCase(
        name="linear",
        file="linear",
        dtype=dtype,
        sizes=Sizes(*sizes),
        inputs=NUMBERS,
        initial_state=NUMBERS,
        loss=Loss("dot"),
        upstream=NUMBERS,
        **given,
    )
    return build(case, None)


def compared(problem, actual):
    expected = run(implementations()["numpy-split"], problem)
    return compare_for(problem, actual, expected, rounding_noise(problem), Promise(complete=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"layers": 3},
        {"truncation": {"kind": "detach", "every": 3}},
        {"truncation": {"kind": "window", "steps": 2}},
        {"weights": {"uniform": (-1.4, 1.4), "seed": 1}, "sizes": (2, 60, 3, 4)},
    ],
    ids=["plain", "layers", "detach", "window", "growing"],
)
def test_it_agrees_to_the_level_of_rounding(dtype, fields):
    problem = problem_of(dtype, **fields)
    comparison = compared(problem, run(implementations()["closed-form"], problem))
    assert comparison.matches, str(comparison)
    assert {each.tensor for each in comparison.tensors} == {"loss", "outputs", *problem.structure.gradients}


@pytest.mark.parametrize("name", ["layer0.W_hh", "layer0.h0", "inputs"])
def test_a_wrong_baseline_is_found(name):
    problem = problem_of()
    expected = run(implementations()["numpy-split"], problem)
    wrong = replace(expected, gradients={**expected.gradients, name: expected.gradients[name] * (1 + 1e-12)})
    answer = run(implementations()["closed-form"], problem)
    comparison = compare_for(problem, answer, wrong, rounding_noise(problem), Promise(complete=True))
    assert [each.tensor for each in comparison.disagreements] == [name]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"activation": "tanh"}, "activation is tanh, but closed-form has only identity"),
        ({"activation": "tanh", "cell": "lstm"}, "cell is lstm"),
        ({"bidirectional": True}, "only one direction"),
        ({"lengths": (7, 3)}, "only sequences of equal length"),
        ({"sizes": (2, 3000, 3, 40)}, "multiplications; at most 2e"),
    ],
    ids=["activation", "cell", "bidirectional", "lengths", "work"],
)
def test_what_it_cannot_represent_it_refuses(fields, reason):
    with pytest.raises(Unsupported, match=reason):
        run(implementations()["closed-form"], problem_of(**fields))


def test_it_is_asked_only_where_it_can_answer():
    closed_form = implementations()["closed-form"]
    assert closed_form.takes_part_in(problem_of().case)
    assert not closed_form.takes_part_in(problem_of(activation="tanh").case)
