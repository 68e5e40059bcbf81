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


@pytest.mark.parametrize("name", catalogue())
def test_the_description_is_a_sentence(name):
    text = catalogue()[name]
    assert re.fullmatch(r"[A-Z\d].*\.|relu.*\.|What.*\.", text), text
    assert "{" not in re.sub(r"_\{t-[12]\}", "", text)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)


@pytest.mark.parametrize("fault", faults().values(), ids=faults())
def test_parameters_are_told(fault):
    """Each parameter stands in the docstring, and the docstring asks for no others."""
    asked = {field for _, field, _, _ in string.Formatter().parse(fault.summary()) if field}
    for case in ALL:
        for suspect in suspects_of(fault, problem_of(case)):
            assert asked == {name for name, _ in suspect.parameters}
            assert "{" not in suspect.explanation.replace("{t-1}", "").replace("{t-2}", "")


def test_no_two_faults_share_a_parameter():
    """Several at once are one class, in which one would overwrite the other's."""
    names = Counter(
        name for fault in faults().values() for name in fault.__annotations__ if name not in Fault.__annotations__
    )
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("fault", faults().values(), ids=faults())
def test_it_is_either_of_a_layer_or_of_the_network(fault):
    assert issubclass(fault, LayerFault) != issubclass(fault, NetworkFault)


@pytest.mark.parametrize("fault", faults().values(), ids=faults())
def test_it_can_be_committed_and_keeps_every_shape(fault):
    committed_somewhere = False
    for case in ALL:
        problem = problem_of(case, "float32")
        shapes = {name: tensor.shape for name, tensor in predictions_of(case).truth.items()}
        for suspect in suspects_of(fault, problem):
            answer = committed(problem, suspect)
            assert {name: tensor.shape for name, tensor in answer.items()} == shapes
            committed_somewhere = True
        if not list(suspects_of(fault, problem)):
            assert obstacle(fault, problem), f"{case}: a fault that cannot be committed says why"
    assert committed_somewhere


@pytest.mark.parametrize("case", ALL)
def test_any_two_can_be_committed_together(case):
    predictions = predictions_of(case)
    shapes = {name: tensor.shape for name, tensor in predictions.truth.items()}
    suspects = {each.suspects[0].name: each.suspects[0] for each in predictions.singles()}
    pairs = list(permutations(suspects.values(), 2))
    draw = random.Random(case)
    for first, second in sorted(draw.sample(pairs, 1500), key=pairs.index) if case in GATED else pairs:
        answer = predictions.tensors((first,), (second,))
        assert {name: tensor.shape for name, tensor in answer.items()} == shapes, (first.name, second.name)
        if draw.random() < 0.1:  # one on top of the other, or both at once
            together = predictions.tensors((first, second))
            assert all(np.array_equal(answer[name], together[name], equal_nan=True) for name in shapes), (first, second)


@pytest.mark.parametrize("fault", faults().values(), ids=faults())
def test_what_hides_it_is_a_blind_spot_that_exists(fault):
    source = Path(blind_spots.__code__.co_filename).read_text(encoding="utf-8")
    for spot in (*fault.hidden_by, *HIDE_ANYTHING):
        assert re.search(rf'BlindSpot\(\s*"{spot}"', source), spot


@pytest.mark.parametrize("fault", faults().values(), ids=faults())
def test_a_fault_of_other_cells_says_so(fault):
    for case in CASES:
        problem = problem_of(case)
        if problem.structure.cell not in fault.cells:
            assert obstacle_to(fault, problem).startswith(f"the cell is {problem.structure.cell}")
            assert list(suspects_of(fault, problem)) == []


def test_two_right_answers_are_no_fault():
    for case in ALL:
        predictions = predictions_of(case)
        for each in predictions.singles():
            for name, tensor in each.changed.items():
                assert not np.array_equal(tensor, predictions.truth[name])
