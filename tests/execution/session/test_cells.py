"""Gated cells in cases: whoever computes them agrees, whoever is wrong is caught, whoever cannot says so."""

import numpy as np
import pytest

import harness
from harness.case import Loss, Sizes, ValidCase
from harness.diagnosis import UNEXPLAINED, Predictions, diagnose
from harness.diagnosis.faults import faults
from harness.diagnosis.sight import blind_spots_of_case, catalogue, sight
from harness.execution.session import compare_for
from harness.implementations import Promise, implementations, initialisers
from harness.implementations import complex_step as oracle
from harness.precision import error_floor as floors
from harness.precision.error_floor import NoErrorFloor, from_intervals, from_wider_numbers
from harness.precision.perturbations import COUNT
from harness.precision.rounding_noise import rounding_noise
from harness.problem import build
from harness.result import run
from harness.tensors import GATES

CELLS = {"lstm": {"cell": "lstm"}, "gru, after": {"cell": "gru"}, "gru, before": {"cell": "gru", "reset": "before"}}
TRUNCATIONS = ["none", {"kind": "detach", "every": 2}, {"kind": "window", "steps": 2}]


def case_of(**fields):
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
    return ValidCase(name="gated", file="none", **{**given, **fields})


def problem_of(**fields):
    return build(case_of(**fields), None)


def solved(problem, name="numpy-split"):
    return run(implementations()[name], problem)


def compared(problem, actual):
    return compare_for(problem, actual, solved(problem), rounding_noise(problem), Promise(complete=True))


@pytest.fixture(params=CELLS)
def cell(request):
    return CELLS[request.param]


@pytest.mark.spread(2)
@pytest.mark.framework
@pytest.mark.parametrize("truncation", TRUNCATIONS, ids=lambda each: each if each == "none" else each["kind"])
@pytest.mark.parametrize("name", ["numpy-concat", "torch", "torch-cell", "keras", "tf1", "complex-step", "certified"])
def test_whoever_has_a_cell_agrees_and_the_others_say_so(workers, name, cell, truncation):
    problem = problem_of(**cell, truncation=truncation)
    chosen = implementations()[name]
    outcome = workers.run(chosen, problem)
    if reason := chosen.reason_against(problem.case):
        assert outcome.status == "unsupported"
        assert reason in outcome.reason
        assert f"but {name} has only" in reason
    else:
        assert outcome.status == "ok", outcome.reason
        comparison = compared(problem, outcome.result)
        assert comparison.matches, str(comparison)
        assert {each.tensor for each in comparison.tensors} >= problem.structure.gradients.keys()


@pytest.mark.framework
def test_native_weights_come_with_their_forget_bias_and_order_of_gates(workers):
    def biases(cell, framework, **fields):
        problem = build(case_of(cell=cell, weights={"from": framework, "seed": 0}, **fields), workers.native_weights)
        return [np.unique(block).tolist() for block in np.split(problem.weights["layer1.b_h"], GATES[cell])]

    assert biases("lstm", "tf1") == biases("lstm", "keras") == [[0], [1], [0], [0]]
    assert biases("gru", "tf1", reset="before") == [[1], [1], [0]]
    assert biases("gru", "keras") == biases("gru", "keras", reset="before") == [[0], [0], [0]]
    assert all(len(block) > 1 for cell in ("lstm", "gru") for block in biases(cell, "torch"))


@pytest.mark.framework
@pytest.mark.parametrize("framework", initialisers())
def test_native_weights_follow_from_the_seed_alone(workers, framework):
    structure = case_of(readout="linear", sizes=Sizes(1, 1, 2, 3, 2)).structure
    drawn = [workers.native_weights(framework, seed, structure, "float64") for seed in (0, 1, 0)]
    for name, first in drawn[0].items():
        np.testing.assert_array_equal(first, drawn[2][name], err_msg=name)
    assert any((drawn[0][name] != drawn[1][name]).any() for name in drawn[0])


@pytest.mark.parametrize(("name", "has", "lacks"), [("torch", "after", "before"), ("tf1", "before", "after")])
def test_each_framework_has_one_variant_of_the_gru(name, has, lacks):
    chosen = implementations()[name]
    assert f"reset is {lacks}, but {name} has only {has}" in chosen.reason_against(case_of(cell="gru", reset=lacks))
    for fields in ({"cell": "gru", "reset": has}, {"cell": "lstm"}, {}):
        assert not chosen.reason_against(case_of(**fields))


@pytest.mark.parametrize("factor", [1.01, 0.5, -1.0, 0.0], ids=str)
def test_every_wrong_tensor_is_caught(cell, factor):
    problem = problem_of(**cell)
    right = solved(problem).tensors
    for name in right:
        comparison = compared(problem, {**right, name: right[name] * factor})
        wrong = [each.tensor for each in comparison.tensors if each.verdict != "match"]
        assert wrong == [name]


def test_gates_taken_for_each_other_are_caught(cell):
    problem = problem_of(**cell)
    H, right = 4, solved(problem).tensors
    gates = right["layer0.b_h"].size // H
    for name in ("layer0.W_xh", "layer1.W_hh", "layer1.b_h"):
        blocks = np.split(right[name], gates, axis=-1)
        for i in range(gates - 1):
            order = [*range(gates)]
            order[i], order[i + 1] = i + 1, i
            swapped = np.concatenate([blocks[k] for k in order], axis=-1)
            assert not compared(problem, {**right, name: swapped}).matches


def test_the_other_variant_is_another_function():
    after, before = problem_of(cell="gru"), problem_of(cell="gru", reset="before")
    for name in ("layer0.W_xh", "layer0.W_hh", "layer1.b_h"):
        np.testing.assert_array_equal(after.weights[name], before.weights[name])
    tensors = {name: each for name, each in solved(after).tensors.items() if not name.endswith("b_hn")}
    assert not compared(before, tensors).matches


def test_a_state_that_is_left_out_is_missed():
    problem = problem_of(cell="lstm")
    tensors = {name: each for name, each in solved(problem).tensors.items() if name != "layer1.c0"}
    (missing,) = compared(problem, tensors).disagreements
    assert missing.tensor == "layer1.c0"


wide_longdouble = pytest.mark.skipif(not floors.longdouble_is_wider(), reason="longdouble is float64 on this machine")


@pytest.mark.parametrize("source", [pytest.param("longdouble", marks=wide_longdouble), "float64"])
def test_the_floor_of_a_gated_cell(cell, source):
    dtype = "float32" if source == "float64" else "float64"
    problem = problem_of(**cell, dtype=dtype, truncation={"kind": "window", "steps": 3}, sizes=Sizes(2, 5, 3, 2))
    baseline = solved(problem).tensors
    found = from_wider_numbers(problem, baseline)
    assert found.source == source
    assert found.errors.keys() == baseline.keys()
    for name, errors in found.errors.items():
        assert errors.max() <= 30 * np.finfo(dtype).eps * np.abs(baseline[name]).max(), name
    wrong = from_wider_numbers(problem, {**baseline, "layer0.W_hh": baseline["layer0.W_hh"] * 1.001})
    assert wrong.errors["layer0.W_hh"].max() > 1e-5


def test_the_certified_floor_is_the_one_of_wider_numbers(cell):
    problem = problem_of(**cell, dtype="float32")
    baseline = solved(problem).tensors
    proven, found = from_intervals(problem, baseline), from_wider_numbers(problem, baseline)
    assert (proven.source, found.source) == ("certified", "float64")
    for name, errors in proven.errors.items():
        blur = 0.02 * np.finfo("float32").eps * np.abs(baseline[name]).max()
        np.testing.assert_allclose(found.errors[name], errors, rtol=0, atol=blur, err_msg=name)


def test_what_would_take_too_long_in_balls_says_so(cell):
    problem = problem_of(**cell, sizes=Sizes(32, 200, 32, 64))
    with pytest.raises(NoErrorFloor, match="certified: would take"):
        from_intervals(problem, {})


def test_a_diagnosis_knows_the_algebra_of_a_gated_cell_and_tells_where_the_rest_is_first_off(cell):
    problem = problem_of(**cell)
    predictions = Predictions(problem, rounding_noise(problem))
    right = solved(problem).tensors
    W_hh = right["layer0.W_hh"]

    def found(array):
        return diagnose({**right, "layer0.W_hh": array}, predictions)

    assert diagnose(right, predictions) == []
    assert found(W_hh * 2)[0].fault == "factor"
    blocks = np.split(W_hh, GATES[cell["cell"]], axis=-1)
    assert found(np.concatenate([blocks[1], blocks[0], *blocks[2:]], axis=-1))[0].fault == "gates-permuted"
    assert found(np.concatenate([blocks[0], -blocks[1], *blocks[2:]], axis=-1))[0].fault == "gate-scaled"
    assert found(W_hh.T)[0].fault == "wrong-shape"
    (unknown,) = found(W_hh + np.random.default_rng(1).normal(size=W_hh.shape))
    assert unknown.fault == UNEXPLAINED
    assert "first wrong gradient: layer0.W_hh" in unknown.explanation
    (narrow,) = diagnose(
        {name: each.astype(np.float32).astype(np.float64) for name, each in right.items()}, predictions
    )
    assert narrow.fault == "lower-precision"


def test_a_gated_case_sees_the_faults_of_its_cell_and_says_of_others_that_they_are_none(cell):
    problem = problem_of(**cell)
    found = sight(Predictions(problem, rounding_noise(problem)))
    assert {"gates-permuted", "factor"} <= set(found.seen)
    assert {*found.seen, *found.missed, *found.impossible} == catalogue().keys()
    for name, fault in faults().items():
        if cell["cell"] not in fault.cells:
            assert found.impossible[name].startswith(f"the cell is {cell['cell']}")
    assert "carry-untransposed" in found.seen
    zeros = problem_of(**cell, weights="zeros", initial_state="zeros").case
    assert {"zero biases", "zero initial state"} <= {spot.name for spot in blind_spots_of_case(zeros)}


@pytest.mark.framework
def test_a_users_own_lstm(tmp_path):
    """Written against the problem as the interface gives it, in float64, with nothing of ours."""

    @harness.implementation("mine", layout="split", supports={"cell": ("lstm",)})
    def mine(problem):
        import torch

        given = {**problem.weights, **problem.initial_state, "inputs": problem.inputs}
        leaves = {name: torch.tensor(array, requires_grad=True) for name, array in given.items()}
        x, h, c = leaves["inputs"], leaves["layer0.h0"], leaves["layer0.c0"]
        outputs = []
        for t in range(x.shape[1]):
            a = x[:, t] @ leaves["layer0.W_xh"] + h @ leaves["layer0.W_hh"] + leaves["layer0.b_h"]
            i, f, g, o = a.chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            outputs.append(h)
        y = torch.stack(outputs, 1)
        loss, d_outputs = problem.loss(y.detach().numpy())
        y.backward(torch.tensor(d_outputs))
        return {"loss": loss, "outputs": y, **{name: leaf.grad for name, leaf in leaves.items()}}

    pytest.importorskip("torch")
    problem = problem_of(cell="lstm", layers=1)
    assert compared(problem, harness.run(mine, problem)).matches
    with pytest.raises(harness.Unsupported, match="cell is gru, but mine has only lstm"):
        harness.run(mine, problem_of(cell="gru", layers=1))


@pytest.fixture
def sampled(monkeypatch):
    """Let the oracle take a few elements of each tensor of any gated problem."""

    def of(problem, share=3):
        one = oracle.work_of_one(problem)
        tensors = len([name for name in problem.structure.gradients if not name.startswith("readout.")])
        monkeypatch.setattr(oracle, "MOST_WORK", one * tensors)
        monkeypatch.setattr(oracle, "SAMPLED_WORK", share * one * tensors)
        return run(implementations()["complex-step"], problem)

    return of


@pytest.mark.parametrize("truncation", TRUNCATIONS, ids=lambda each: each if each == "none" else each["kind"])
def test_a_sample_of_a_large_gated_problem(sampled, cell, truncation):
    problem = problem_of(**cell, readout="linear", sizes=Sizes(2, 4, 3, 5, 6), truncation=truncation)
    comparison = compared(problem, sampled(problem))
    assert comparison.matches, str(comparison)
    elements = {each.tensor: each.elements for each in comparison.tensors}
    per_sequence = {"inputs", *problem.structure.initial_state}
    expected = {name: 3 * (2 if name in per_sequence else 1) for name in problem.structure.gradients}
    expected |= {"readout.W_hy": 5 * 6, "readout.b_y": 6}
    assert elements == expected | {"directional": COUNT, "loss": 1, "outputs": 2 * 4 * 6}


def test_an_error_that_the_sample_misses_is_seen_by_the_directions(sampled, cell):
    problem = problem_of(**cell)
    for name in problem.structure.gradients:
        found, expected = sampled(problem), solved(problem)
        for where, seen in ((~found.known[name], {"directional"}), (found.known[name], {"directional", name})):
            at = tuple(int(axis[0]) for axis in np.nonzero(where))
            expected.gradients[name][at] += 1e-6 * np.abs(expected.gradients[name]).max()
            comparison = compare_for(problem, found, expected, rounding_noise(problem), Promise(complete=True))
            assert {each.tensor for each in comparison.disagreements} == seen


def test_beyond_a_sample_the_oracle_says_why_not(monkeypatch, cell):
    monkeypatch.setattr(oracle, "MOST_WORK", 1.0)
    with pytest.raises(harness.Unsupported, match="multiplications for one number; at most 1e"):
        run(implementations()["complex-step"], problem_of(**cell))
