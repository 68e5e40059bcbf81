"""Both directions and unequal lengths: what goes wrong around the layers is named, and what one tensor got."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.diagnosis import diagnose
from harness.diagnosis.committing import obstacle
from harness.diagnosis.faults import LayerFault, faults, obstacle_to
from harness.diagnosis.sight import sight
from harness.diagnosis.wrapped import WrappedNetwork
from harness.problem.reference import solve

from .conftest import WRAPPED, committed, predictions_of, problem_of

OF_PADDING_AND_DIRECTIONS = [name for name, fault in faults().items() if issubclass(fault, WrappedNetwork)]


def shown(case, dtype="float64"):
    """Every suspect that shows on a case."""
    return [each.suspects[0] for each in predictions_of(case, dtype).singles()]


def assert_named(suspect, predictions, most):
    """First, or with others that give the same numbers on this case."""
    found = diagnose(committed(predictions.problem, suspect), predictions)
    assert suspect.name in [each.fault for each in found], (suspect.parameters, str(found[0]))
    assert next(each for each in found if each.fault == suspect.name).residual <= most


@pytest.mark.parametrize(("dtype", "most"), [("float32", 1e-4), ("float64", 1e-12)])
@pytest.mark.parametrize("case", WRAPPED)
def test_each_fault_of_padding_and_directions_is_named(case, dtype, most):
    own = [suspect for suspect in shown(case, dtype) if suspect.name in OF_PADDING_AND_DIRECTIONS]
    assert own
    for suspect in own:
        assert_named(suspect, predictions_of(case, dtype), most)


def test_each_fault_around_the_layers_is_named_as_on_layers_in_parts():
    one_of_each = {suspect.name: suspect for suspect in shown("bidirectional")}
    assert len(one_of_each.keys() - set(OF_PADDING_AND_DIRECTIONS)) > 10
    for name, suspect in one_of_each.items():
        if name not in OF_PADDING_AND_DIRECTIONS:
            assert_named(suspect, predictions_of("bidirectional"), 1e-12)


def test_together_they_show_every_fault_of_padding_and_directions():
    shown_somewhere = {suspect.name for case in WRAPPED for suspect in shown(case)}
    assert set(OF_PADDING_AND_DIRECTIONS) - shown_somewhere == set()


@pytest.mark.parametrize("case", WRAPPED)
def test_a_fault_inside_a_layer_says_why_it_cannot_be_committed(case):
    impossible = sight(predictions_of(case)).impossible
    for name, fault in faults().items():
        if issubclass(fault, LayerFault):
            assert "recursion" in impossible[name]
            assert obstacle(fault, problem_of(case)) == impossible[name]


@pytest.mark.parametrize("name", OF_PADDING_AND_DIRECTIONS)
def test_a_fault_of_padding_or_directions_says_what_it_lacks(name):
    assert obstacle_to(faults()[name], problem_of("squared-error")) in (
        "there is only one direction",
        "no sequence has padding",
    )


@pytest.mark.parametrize(
    ("case", "fault", "spoil"),
    [
        ("bidirectional", "transposed", {"layer0.reverse.W_hh": lambda t: t["layer0.reverse.W_hh"].T}),
        ("bidirectional", "factor", {"layer1.reverse.W_xh": lambda t: 2 * t["layer1.reverse.W_xh"]}),
        ("unequal", "gates-permuted", {"layer0.reverse.b_h": lambda t: np.roll(t["layer0.reverse.b_h"], 6)}),
        (
            "unequal",
            "swapped",
            {"layer0.W_hh": lambda t: t["layer0.reverse.W_hh"], "layer0.reverse.W_hh": lambda t: t["layer0.W_hh"]},
        ),
        ("unequal", "zero", {"layer0.reverse.h0": lambda t: 0 * t["layer0.reverse.h0"]}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_fault_of_the_reverse_directions_tensors_is_named(case, fault, spoil):
    predictions = predictions_of(case)
    truth = {name: np.array(tensor) for name, tensor in predictions.truth.items()}
    found = diagnose({**truth, **{name: change(truth) for name, change in spoil.items()}}, predictions)
    assert found[0].fault == fault, str(found[0])
    assert set(found[0].tensors) == set(spoil)


def test_where_the_numbers_are_first_off_is_told_of_both_directions_at_once():
    predictions = predictions_of("bidirectional")
    truth = {name: np.array(tensor) for name, tensor in predictions.truth.items()}
    noise = np.random.default_rng(1).normal
    spoilt = {name: truth[name] + noise(size=truth[name].shape) for name in truth if name.endswith("W_hh")}
    spoilt["inputs"] = truth["inputs"] + 1
    (unknown,) = diagnose({**truth, **spoilt}, predictions)
    assert "first wrong gradients: layer1.W_hh, layer1.reverse.W_hh" in unknown.start
    assert "step" not in unknown.start


def test_a_loss_over_all_steps_leaves_the_padding_out():
    """It is what somebody computes who has lengths and has not read the steps."""
    problem = problem_of("unequal")
    every_step = replace(problem, case=replace(problem.case, loss=replace(problem.case.loss, steps="all")))
    found = diagnose(solve(every_step), predictions_of("unequal"))
    assert found[0].fault == "loss-of-all-steps", str(found[0])
