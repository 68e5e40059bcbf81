"""A gradient that is truncated otherwise than the case says is named, with the line that declares it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from harness.case import Sizes, load
from harness.diagnosis import Predictions, diagnose
from harness.diagnosis.bptt import Network, rerun, right
from harness.diagnosis.cells import RnnLayer, layer_kind
from harness.diagnosis.faults import faults, kinds_of, obstacle_to, suspects_of
from harness.implementations import implementations
from harness.precision.rounding_noise import rounding_noise
from harness.problem import build
from harness.result import run

from .conftest import CASES, DETACHED, DOT, SQUARED_ERROR, WINDOWED, committed, no_weights, predictions_of, problem_of

LIBRARY = load([str(Path(__file__).parents[2] / "cases")], implementations()).cases
ALL_CASES = [case for case in LIBRARY if case.recurrence is None]
LONGER = replace(DOT, sizes=Sizes(batch=2, time=9, input=3, hidden=5))
TWO_LAYERS = replace(LONGER, layers=2, upstream={"normal": 1.0, "seed": 6})
DEEP = replace(WINDOWED, layers=3, sizes=Sizes(batch=2, time=9, input=3, hidden=4), truncation="none")
TRUNCATIONS = [
    *({"kind": "detach", "every": k} for k in (1, 2, 3, 4, 5, 8)),
    *({"kind": "window", "steps": k} for k in (1, 2, 3, 4, 7)),
]


def prepared(case):
    problem = build(case, no_weights)
    return Predictions(problem, rounding_noise(problem))


def answered(case, implementation="numpy-concat"):
    return dict(run(implementations()[implementation], build(case, no_weights)).tensors)


def said(each):
    """The truncation in a line that declares it."""
    return yaml.safe_load(each.declare)["truncation"]


def inline(truncation):
    return truncation if isinstance(truncation, str) else "-".join(str(value) for value in truncation.values())


@pytest.mark.spread(1)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("meant", TRUNCATIONS, ids=inline)
@pytest.mark.parametrize("case", [LONGER, TWO_LAYERS, DEEP], ids=["one", "two", "three"])
def test_a_truncated_answer_to_a_full_case_is_told_how_to_declare_it(case, meant, dtype):
    case = replace(case, dtype=dtype)
    answer = answered(replace(case, truncation=meant))
    best = diagnose(answer, prepared(case))[0]
    assert said(best) == meant
    assert diagnose(answer, prepared(replace(case, truncation=said(best)))) == []


@pytest.mark.slow
@pytest.mark.parametrize("case", [DETACHED, WINDOWED], ids=["detached", "windowed"])
@pytest.mark.parametrize("meant", ["none", *TRUNCATIONS], ids=inline)
def test_another_truncation_than_the_case_has_is_told_how_to_declare_it(case, meant):
    case = replace(case, sizes=replace(case.sizes, time=9))
    found = diagnose(answered(replace(case, truncation=meant)), prepared(case))
    if meant == case.truncation:
        assert found == []
    else:
        assert said(found[0]) == meant


@pytest.mark.slow
@pytest.mark.parametrize("meant", TRUNCATIONS, ids=inline)
def test_weights_alone_are_enough(meant):
    answer = answered(replace(TWO_LAYERS, truncation=meant))
    of_weights = {name: answer[name] for name in answer if ".W_" in name}
    assert said(diagnose(of_weights, prepared(TWO_LAYERS))[0]) == meant


@pytest.mark.parametrize(
    "meant",
    [{"kind": "detach", "every": 35}, {"kind": "detach", "every": 64}, {"kind": "window", "steps": 35}],
    ids=inline,
)
def test_lengths_that_people_choose_are_named_in_long_sequences(meant):
    case = replace(DOT, weights={"normal": 0.45, "seed": 1}, sizes=Sizes(batch=2, time=80, input=3, hidden=8))
    assert said(diagnose(answered(replace(case, truncation=meant)), prepared(case))[0]) == meant


@pytest.mark.spread(1)
@pytest.mark.parametrize("case", [each for each in ALL_CASES if each.truncation != "none"], ids=lambda case: case.name)
def test_a_right_answer_to_a_truncated_case_is_no_false_alarm(case):
    predictions = prepared(case)
    for implementation in ("numpy-split", "numpy-concat"):
        assert diagnose(answered(case, implementation), predictions) == [], implementation


def test_one_layer_alone_cannot_be_declared():
    predictions = predictions_of("squared-error")
    suspects = {suspect.layer: suspect for suspect in suspects_of(faults()["detached"], predictions.problem)}
    assert suspects[None].declaration.startswith("truncation: ")
    assert suspects[1].declaration == ""
    found = diagnose(committed(predictions.problem, suspects[1]), predictions)
    assert "In layer 1 alone" in found[0].explanation
    assert found[0].declare == ""


@pytest.mark.parametrize("name", CASES)
def test_with_another_fault_a_window_is_the_same_as_alone(name):
    """Alone it is computed by lags, with others in passes."""
    problem = problem_of(name)
    for suspect in suspects_of(faults()["truncated"], problem):
        network, _, _ = kinds_of((suspect,), problem.structure)
        true = right(problem)
        true.tensors()
        layer = layer_kind(problem.structure)
        plain = type("Plain", (layer,), {})  # without a fault, and not known to be
        alone = rerun(true, network, (layer,) * problem.case.layers, forward=False)
        in_passes = rerun(true, network, (plain,) * problem.case.layers, forward=False)
        assert alone.keys() == in_passes.keys()
        for tensor, expected in alone.items():
            np.testing.assert_allclose(in_passes[tensor], expected, rtol=0, atol=1e-13 * (1 + np.abs(expected).max()))


@pytest.mark.parametrize("reach", [1, 2])
def test_layers_truncated_anew_reach_further_below(reach):
    """Held against each layer's own window, of what the layer above hands down."""
    problem = build(DEEP, no_weights)
    suspect = next(
        s for s in suspects_of(faults()["layers-truncated"], problem) if dict(s.parameters)["layer_reach"] == reach
    )
    answer = committed(problem, suspect)
    true = right(problem)
    true.tensors()
    g = true.d_outputs  # (T, B, H)
    for n in reversed(range(3)):
        layer = true.layers[n]
        slope = layer.slope()  # (T, B, H)
        delta = np.zeros_like(slope)  # (T, B, H)
        for step in range(len(g)):
            of_loss = g[step] * slope[step]  # (B, H)
            for t in range(step, max(step - reach, 0) - 1, -1):
                delta[t] += of_loss
                of_loss = (of_loss @ layer.W_hh.T) * slope[t - 1]  # (B, H)
        np.testing.assert_allclose(answer[f"layer{n}.b_h"], delta.sum(axis=(0, 1)), rtol=1e-12)
        g = delta @ layer.W_xh.T  # (T, B, H), or (T, B, I) below the first


def test_a_shift_of_the_chunks_is_told():
    """Detached after each third step, counted from the first, and not before it: cut at 1, 4, 7."""
    problem = build(DETACHED, no_weights)
    network = right(problem)
    network.tensors()

    class After(RnnLayer):
        def cuts(self):
            return (1, 4, 7)

    answer = rerun(network, Network, (After, After), forward=False)
    found = diagnose(answer, predictions_of("detached"))
    assert found[0].fault == "chunks-shifted"
    assert "The first chunk has 1 step(s)" in found[0].explanation


def test_chunks_that_start_from_zero_are_told():
    """Each chunk run as a sequence of its own, and all gradients added up."""
    problem = build(DETACHED, no_weights)
    T, every = DETACHED.sizes.time, DETACHED.truncation["every"]
    outputs, gradients = [], {}
    for first in range(0, T, every):
        chunk = slice(first, first + every)
        start = problem.initial_state if first == 0 else {n: np.zeros_like(h) for n, h in problem.initial_state.items()}
        inputs, targets = problem.inputs[:, chunk], problem.targets[:, chunk]
        case = replace(DETACHED, sizes=replace(DETACHED.sizes, time=inputs.shape[1]), truncation="none")
        part = replace(problem, case=case, initial_state=start, inputs=inputs, targets=targets)
        tensors = run(implementations()["numpy-split"], part).tensors
        outputs.append(tensors["outputs"])
        for name in problem.weights:
            gradients[name] = gradients.get(name, 0) + tensors[name]
    answer = {"outputs": np.concatenate(outputs, axis=1), **gradients}
    assert diagnose(answer, predictions_of("detached"))[0].fault == "chunks-from-zero"


def test_full_cases_have_no_chunks_and_no_truncation_to_leave_out():
    problem = build(SQUARED_ERROR, no_weights)
    for name in ("truncation-left-out", "chunks-shifted", "chunks-from-zero"):
        assert obstacle_to(faults()[name], problem)
        assert list(suspects_of(faults()[name], problem)) == []
