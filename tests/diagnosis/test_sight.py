"""Faults that cases can see: blind spots are found, hidden faults have a reason, and all cases together see all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.case import Loss, Sizes, load
from harness.diagnosis import Predictions
from harness.diagnosis.sight import blind_spots, blind_spots_of_case, catalogue, sight
from harness.implementations import implementations
from harness.precision.rounding_noise import rounding_noise
from harness.problem import build

from .conftest import CASES, DOT, SOFTMAX, no_weights, predictions_of

ROOT = Path(__file__).parents[2]
DEFAULT_CASES = [
    case
    for case in load([str(ROOT / "cases")], implementations()).cases
    if case.recurrence is None
    and not (isinstance(case.weights, dict) and "from" in case.weights)
    and case.dtype == "float64"
    and case.sizes.hidden <= 128
    and case.sizes.time <= 60
]


def predicted(case):
    problem = build(case, no_weights)
    return Predictions(problem, rounding_noise(problem))


def names(case):
    return {spot.name for spot in blind_spots(build(case, no_weights), predicted(case))}


@pytest.mark.parametrize(
    ("case", "spot"),
    [
        (replace(DOT, sizes=Sizes(5, 7, 3, 5)), "equal sizes"),
        (replace(DOT, sizes=Sizes(2, 1, 3, 5)), "one step"),
        (replace(DOT, sizes=Sizes(2, 2, 3, 5)), "few steps"),
        (replace(DOT, sizes=Sizes(1, 7, 3, 5)), "one sequence"),
        (replace(DOT, sizes=Sizes(2, 7, 3, 1)), "one unit"),
        (replace(DOT, lengths=(7, 7)), "no padding"),
        (replace(DOT, weights={"fill": 0.3}), "constant weights"),
        (replace(DOT, weights="zeros"), "zero recurrent weights"),
        (replace(DOT, weights={"layer0.b_h": "zeros", "default": {"normal": 1.0}}), "zero biases"),
        (replace(DOT, initial_state="zeros"), "zero initial state"),
        (replace(DOT, inputs="ones"), "same input at every step"),
        (replace(DOT, upstream="ones"), "constant upstream"),
        (replace(DOT, weights={"normal": 40.0}), "saturation"),
        (replace(DOT, activation="identity"), "slope of one"),
        (replace(DOT, weights="zeros"), "no gradient passes between steps"),
        (replace(DOT, loss=Loss("dot", (-1,))), "loss at the last step alone"),
        (replace(DOT, truncation={"kind": "detach", "every": 7}), "the truncation cuts nothing"),
        (
            replace(DOT, truncation={"kind": "detach", "every": 4}, loss=Loss("dot", (1, 3))),
            "the truncation cuts nothing",
        ),
        (replace(DOT, truncation={"kind": "window", "steps": 6}), "the truncation cuts nothing"),
        (
            replace(DOT, truncation={"kind": "detach", "every": 3}, loss=Loss("dot", (-1,))),
            "no gradient reaches the initial state",
        ),
        (replace(DOT, truncation={"kind": "window", "steps": 1}), "no gradient reaches further than a step"),
        (replace(DOT, truncation={"kind": "window", "steps": 1}), "one recursion for each loss"),
        (replace(DOT, truncation={"kind": "detach", "every": 1}), "no gradient passes between steps"),
        (replace(DOT, weights={"normal": 400.0}), "gradients lost in rounding"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_blind_spot_is_found(case, spot):
    assert spot in names(case)
    assert spot not in names(DOT)


def test_a_case_that_overflows_is_looked_at_without_a_warning():
    huge = replace(
        DOT, loss=Loss("squared_error"), upstream=None, targets="ones", activation="identity", inputs={"fill": 1e300}
    )
    with np.errstate(all="warn"):
        assert [spot.name for spot in blind_spots_of_case(huge)] == ["same input at every step"]


@pytest.mark.parametrize("case", [DOT, SOFTMAX], ids=["dot", "softmax"])
def test_a_good_case_has_nothing_to_be_warned_of(case):
    assert blind_spots_of_case(replace(case, sizes=replace(case.sizes, batch=6, time=7, hidden=5))) == []


def test_weights_of_a_framework_are_taken_for_random_ones():
    assert blind_spots_of_case(replace(DOT, weights={"from": "torch", "seed": 0})) == []


@pytest.mark.parametrize("case", CASES)
def test_everything_is_seen_missed_or_impossible(case):
    found = sight(predictions_of(case))
    assert {*found.seen, *found.missed, *found.impossible} == set(catalogue())
    assert len(found.seen) + len(found.missed) + len(found.impossible) == len(catalogue())
    assert all({**found.missed, **found.impossible}.values())


def test_a_blind_case_misses_what_a_published_test_misses():
    """Constant weights, a zero state and one step, as in a published suite: transposes and states slip through."""
    case = replace(DOT, weights={"fill": 0.1}, initial_state="zeros", sizes=Sizes(2, 1, 3, 5), upstream="ones")
    found = sight(predicted(case))
    for fault in ("carry-untransposed", "initial-state-left-out", "recurrent-weights-transposed"):
        assert fault in found.missed, fault
    assert "zero initial state" in found.missed["initial-state-left-out"]


@pytest.fixture(scope="module")
def sights():
    return {case.name: sight(predicted(case)) for case in DEFAULT_CASES}


@pytest.mark.slow
def test_together_the_default_cases_see_every_fault(sights):
    assert set(catalogue()) - {fault for each in sights.values() for fault in each.seen} == set()


@pytest.mark.slow
def test_what_slips_through_a_default_case_has_a_reason(sights):
    unexplained = [
        (name, fault) for name, each in sights.items() for fault, why in each.missed.items() if "the same here" in why
    ]
    assert unexplained == []
