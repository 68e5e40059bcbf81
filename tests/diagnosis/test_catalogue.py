"""The catalogue: every fault found, described, and different from doing it right."""

from __future__ import annotations

import random
import re
import string
from collections import Counter
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from harness.diagnosis.committing import obstacle, suspects_of
from harness.diagnosis.faults import Fault, LayerFault, NetworkFault, faults, obstacle_to
from harness.diagnosis.sight import HIDE_ANYTHING, blind_spots, catalogue
from harness.diagnosis.tensor_faults import TENSOR_FAULTS

from .conftest import CASES, GATED, WRAPPED, committed, predictions_of, problem_of

ALL = {**CASES, **WRAPPED}


def test_there_are_many():
    assert len(faults()) >= 30
    assert len(catalogue()) == len(faults()) + len(TENSOR_FAULTS)


def test_each_description_is_a_sentence():
    for name, text in catalogue().items():
        assert re.fullmatch(r"[A-Z\d].*\.|relu.*\.|What.*\.", text), (name, text)
        assert "{" not in re.sub(r"_\{t-[12]\}", "", text), (name, text)
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)


def test_each_parameter_stands_in_the_docstring_and_the_docstring_asks_for_no_others():
    for name, fault in faults().items():
        asked = {field for _, field, _, _ in string.Formatter().parse(fault.summary()) if field}
        for case in ALL:
            for suspect in suspects_of(fault, problem_of(case)):
                assert asked == {parameter for parameter, _ in suspect.parameters}, (name, case)
                assert "{" not in suspect.explanation.replace("{t-1}", "").replace("{t-2}", ""), (name, case)


def test_no_two_faults_share_a_parameter():
    """Several at once are one class, in which one would overwrite the other's."""
    names = Counter(
        name for fault in faults().values() for name in fault.__annotations__ if name not in Fault.__annotations__
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_each_is_either_of_a_layer_or_of_the_network():
    for name, fault in faults().items():
        assert issubclass(fault, LayerFault) != issubclass(fault, NetworkFault), name


@pytest.mark.slow
@pytest.mark.parametrize("case", ALL)
def test_each_can_be_committed_and_keeps_every_shape_or_says_why_not(case):
    problem = problem_of(case, "float32")
    shapes = {name: tensor.shape for name, tensor in predictions_of(case).truth.items()}
    for name, fault in faults().items():
        suspects = list(suspects_of(fault, problem))
        assert suspects or obstacle(fault, problem), f"{name} cannot be committed and gives no reason"
        for suspect in suspects:
            answer = committed(problem, suspect)
            assert {tensor: array.shape for tensor, array in answer.items()} == shapes, (name, suspect.parameters)


def test_each_can_be_committed_somewhere():
    for name, fault in faults().items():
        assert any(next(suspects_of(fault, problem_of(case, "float32")), None) for case in ALL), name


TRIED = 150
"""Pairs of faults on each case, unless all are asked for."""


@pytest.mark.slow
@pytest.mark.parametrize("most", [TRIED, pytest.param(1500, marks=pytest.mark.full)])
@pytest.mark.parametrize("case", ALL)
def test_any_two_can_be_committed_together(case, most):
    predictions = predictions_of(case)
    shapes = {name: tensor.shape for name, tensor in predictions.truth.items()}
    suspects = {each.suspects[0].name: each.suspects[0] for each in predictions.singles()}
    pairs = list(permutations(suspects.values(), 2))
    draw = random.Random(case)
    some = case in GATED or most == TRIED
    for first, second in sorted(draw.sample(pairs, min(most, len(pairs))), key=pairs.index) if some else pairs:
        answer = predictions.tensors((first,), (second,))
        assert {name: tensor.shape for name, tensor in answer.items()} == shapes, (first.name, second.name)
        if draw.random() < 0.1:  # one on top of the other, or both at once
            together = predictions.tensors((first, second))
            assert all(np.array_equal(answer[name], together[name], equal_nan=True) for name in shapes), (first, second)


def test_what_hides_a_fault_is_a_blind_spot_that_exists():
    source = Path(blind_spots.__code__.co_filename).read_text(encoding="utf-8")
    spots = set(re.findall(r'BlindSpot\(\s*"([^"]+)"', source))
    for name, fault in faults().items():
        assert spots.issuperset([*fault.hidden_by, *HIDE_ANYTHING]), name


def test_a_fault_of_other_cells_says_so():
    for case in CASES:
        problem = problem_of(case)
        others = {name: fault for name, fault in faults().items() if problem.structure.cell not in fault.cells}
        assert others
        for name, fault in others.items():
            assert obstacle_to(fault, problem).startswith(f"the cell is {problem.structure.cell}"), (name, case)
            assert list(suspects_of(fault, problem)) == [], (name, case)


@pytest.mark.slow
def test_two_right_answers_are_no_fault():
    for case in ALL:
        predictions = predictions_of(case)
        for each in predictions.singles():
            for name, tensor in each.changed.items():
                assert not np.array_equal(tensor, predictions.truth[name])
