"""Spellings: right where they are right, caught where they are not, and the page says by which file."""

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.spellings import Spelling, spellings
from harness.case import load
from harness.execution.session import compare_for
from harness.implementations import Promise, implementations
from harness.precision.rounding_noise import rounding_noise
from harness.problem import build
from harness.result import run

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cases.md").read_text(encoding="utf-8")
FIRST = dict(re.findall(r"^\| ([\w-]+) \| (\w+/\w+) \|", PAGE.partition("## Spellings")[2], re.MULTILINE))
"""Of each spelling the file that the page says to be the simplest that catches it."""

PLAINEST = "basic/tanh"


def problems_of(file):
    cases = load([str(ROOT / "cases" / f"{file}.yaml")], implementations()).cases
    assert cases
    return [build(case, None) for case in cases]


def verdict(spelling, problem):
    """How the comparison comes out, and None where the spelling cannot be written."""
    if spelling.obstacle(problem):
        return None
    with np.errstate(all="ignore"):
        expected = run(implementations()["numpy-split"], problem)
        noise = rounding_noise(problem)
        return compare_for(problem, spelling(problem), expected, noise, Promise(complete=True)).verdict


def test_the_page_has_every_spelling():
    assert FIRST.keys() == spellings().keys()
    assert len(FIRST) >= 45


@pytest.mark.parametrize("name", spellings())
def test_it_is_caught_where_the_page_says(name):
    verdicts = {verdict(spellings()[name], problem) for problem in problems_of(FIRST[name])}
    assert verdicts & {"mismatch", "error"}, verdicts


@pytest.mark.parametrize("name", [name for name, file in FIRST.items() if file != PLAINEST])
def test_it_is_right_on_the_plainest_case_if_another_is_needed(name):
    assert {verdict(spellings()[name], problem) for problem in problems_of(PLAINEST)} <= {"match", None}


@pytest.mark.parametrize(
    "file",
    [
        "basic/tanh",
        "basic/softmax_cross_entropy",
        "cells/lstm",
        "cells/gru",
        "cells/lengths",
        "truncation/window",
        "edge/saturated_700",
        "edge/exploding",
        "edge/subnormal",
        "edge/relu_at_zero",
        "edge/perfect_fit",
    ],
)
def test_the_reference_with_nothing_written_otherwise_is_right(file):
    for problem in problems_of(file):
        assert verdict(Spelling(), problem) == "match", problem.case.name


@pytest.mark.parametrize("spelling", spellings().values(), ids=spellings())
def test_it_says_what_is_written_otherwise(spelling):
    assert re.fullmatch(r"[a-z\d-]+", spelling.name)
    assert re.fullmatch(r"(\S+ )+\S+[.]", spelling.about)
    assert "|" not in spelling.about


def test_inputs_are_not_written_to():
    for problem in problems_of("cells/lstm_forget_bias"):
        before = problem.copy()
        for spelling in spellings().values():
            verdict(spelling, problem)
        for name, array in problem.weights.items():
            np.testing.assert_array_equal(array, before.weights[name])
        np.testing.assert_array_equal(problem.inputs, before.inputs)
