"""Networks of any recurrence: layers, directions, lengths, truncation, readout and loss around its step."""

from dataclasses import replace

import numpy as np
import pytest

import harness
from harness.case import Sizes, ValidCase, checks, load
from harness.case.fields import RecurrenceFields
from harness.case.recurrent import NETWORK, in_words
from harness.case.validation import refuse_invalid
from harness.derive.guards import derivative_by_complex_step, derivative_by_difference, direction
from harness.derive.recording import recorded
from harness.derive.reverse import backward
from harness.execution.processes.messages import of_problem, to_problem
from harness.execution.processes.transport import Message
from harness.implementations import complex_step
from harness.problem.reference import solve

SIZES = {"batch": 3, "time": 5}
STACK = {
    "layers": 2,
    "bidirectional": True,
    "lengths": [5, 2, 1],
    "readout": "linear",
    "loss": {"kind": "squared_error"},
}
CUT = {"truncation": {"kind": "detach", "every": 2}, "lengths": [3, 5, 4]}
WINDOW = {"truncation": {"kind": "window", "steps": 1}, "layers": 2, "loss": {"kind": "dot", "steps": [1, -1]}}
NETWORKS = {
    "min_gru, both directions": ("min_gru", STACK),
    "sru, whose input is as wide as its state": ("sru", STACK),
    "qrnn, which keeps its input": ("qrnn", {**STACK, "loss": {"kind": "softmax_cross_entropy", "reduction": "mean"}}),
    "peephole_lstm, window": ("peephole_lstm", WINDOW),
    "projection_lstm, window": ("projection_lstm", WINDOW),
    "attention_decoder, with a memory": ("attention_decoder", STACK),
    "recurrent_dropout_lstm, with a mask": ("recurrent_dropout_lstm", {**CUT, "layers": 2}),
    "mlstm, whose output is no vector": ("mlstm", CUT),
    "packed_selective_scan, without D and h": ("packed_selective_scan", {**CUT, "draw": {"absent": ["D", "h"]}}),
    "slstm, both directions of no vector": (
        "slstm",
        {"bidirectional": True, "loss": {"kind": "dot", "reduction": "mean"}},
    ),
}

FEW = ("attention_decoder, with a memory", "peephole_lstm, window", "packed_selective_scan, without D and h")
"""The networks that each framework runs in every test run."""


def problem_of(name, dtype="float64"):
    cell, keys = NETWORKS[name]
    sizes = {**SIZES, "output": 4} if "readout" in keys else SIZES
    return harness.make_case(cell=cell, dtype=dtype, sizes=sizes, **keys).problem()


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_routes_in_numpy_agree(name):
    for dtype in ("float64", "float32"):
        problem = problem_of(name, dtype)
        for route in ("complex-step", "forward-mode"):
            harness.assert_gradients_match(route, problem, require_all=True)


@pytest.mark.parametrize(
    "framework", [pytest.param(f, marks=pytest.mark.framework(f)) for f in ("torch", "jax", "tensorflow")]
)
@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in FEW else pytest.mark.full) for n in NETWORKS])
def test_frameworks_agree(name, framework):
    route = {"torch": "torch-cell"}.get(framework, framework)
    harness.assert_gradients_match(route, problem_of(name), require_all=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_balls_contain_the_gradients(name):
    pytest.importorskip("flint")
    harness.assert_gradients_match("certified", problem_of(name), require_all=True)


@pytest.mark.parametrize("name", [name for name, (_, keys) in NETWORKS.items() if "truncation" not in keys])
def test_central_differences_agree_where_nothing_is_cut(name):
    problem = problem_of(name).calculation
    along = direction(problem)
    graph, _, ends = recorded(problem)
    expected = sum(float((g * along[name]).sum()) for name, g in backward(graph, ends).items())
    found, off = derivative_by_difference(problem, along)
    assert found == pytest.approx(expected, abs=10 * off, rel=1e-8)
    assert derivative_by_complex_step(problem, along) == pytest.approx(expected, rel=1e-12)
    changed = expected + sum(float(1e-4 * np.abs(v).sum()) for v in along.values())
    assert found != pytest.approx(changed, abs=10 * off, rel=1e-8)


@pytest.mark.parametrize("keys", [STACK, {**WINDOW, "lengths": [5, 2, 1]}], ids=["both directions", "window"])
def test_the_network_is_the_one_by_hand(keys):
    """A recurrence whose network is written by hand, with arrays of its own."""
    output = 4 if "readout" in keys else None
    sizes = {**SIZES, "I": 4, "H": 6} | ({} if output is None else {"output": output})
    problem = harness.make_case(cell="gru_before", sizes=sizes, **keys).problem()
    own = {
        key: value
        for key, value in problem.case.__dict__.items()
        if key in ("layers", "bidirectional", "lengths", "truncation", "readout", "loss")
    }
    case = ValidCase(
        name="n", file="n", cell="gru", reset="before", sizes=Sizes(3, 5, 4, 6, output), upstream="ones", **own
    )
    by_hand = replace(problem, case=case, recurrence=None)
    expected = solve(by_hand)
    found = harness.run("derived", problem)
    assert found.tensors.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(found.tensors[name], array, rtol=1e-11, atol=1e-13, err_msg=name)


def test_names_and_shapes():
    problem = problem_of("attention_decoder, with a memory")
    assert problem.inputs.keys() == {"x", "memory"}
    assert {"inputs", "inputs.memory", "layer0.h0", "layer1.reverse.h0"} <= problem.structure.given.keys()
    I, H = (problem.case.recurrence["sizes"][letter] for letter in "IH")
    assert problem.weights["layer0.reverse.W"].shape == (I, 3 * H)
    assert problem.weights["layer1.W"].shape == (2 * H, 3 * H)
    assert problem.weights["readout.W_hy"].shape == (2 * H, 4)
    assert problem_of("min_gru, both directions").inputs.shape == (3, 5, 4)
    dropout = problem_of("recurrent_dropout_lstm, with a mask")
    assert "inputs.mask" not in harness.run("derived", dropout).gradients
    packed = problem_of("packed_selective_scan, without D and h")
    assert not {"layer0.D", "layer0.h0"} & {*packed.weights, *packed.structure.gradients}


def test_a_case_without_the_keys_keeps_its_names():
    problem = harness.make_case(cell="min_gru").problem()
    assert {"W_z", "inputs.x", "h0", "last.h"} <= problem.structure.tensors.keys()
    assert {"layer0.W_z", "inputs"} <= harness.make_case(cell="min_gru", layers=1).structure.tensors.keys()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_comes_back_from_a_message(name):
    problem = problem_of(name)
    back = to_problem(Message(*of_problem(problem)))
    assert back.case.to_plain() == problem.case.to_plain()
    assert back.structure == problem.structure
    assert back.spelled.keys() == problem.spelled.keys()
    assert all(np.array_equal(array, back.spelled[key]) for key, array in problem.spelled.items())
    refuse_invalid(problem.case)
    assert {*in_words(problem.case)} >= {*NETWORK}


def test_every_key_of_a_network_is_a_field():
    assert {*NETWORK} <= {*RecurrenceFields.__dataclass_fields__}


# A network of minGRUs by hand, and what goes wrong in such networks.


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def min_gru_network(problem, fault=""):
    """Two layers of both directions, unequal lengths and a readout; or one direction, cut."""
    case, w = problem.case, problem.weights
    lengths = problem.lengths if problem.lengths is not None else np.full(case.sizes.batch, case.sizes.time)
    every = case.truncation["every"] if case.truncation != "none" else case.sizes.time
    below, kept = problem.inputs, []
    for n in range(case.layers):
        passes = [one_way(problem, f"layer{n}", below, lengths, fault)]
        if case.bidirectional:
            passes.append(one_way(problem, f"layer{n}.reverse", below, lengths, fault))
        kept.append(passes)
        below = np.concatenate([each["outputs"] for each in passes], -1)
    valid = (np.arange(case.sizes.time) < lengths[:, None])[:, :, None]
    outputs = below
    if case.readout == "linear":
        outputs = np.where(valid, below @ w["readout.W_hy"] + w["readout.b_y"], 0)
    loss, d_outputs = problem.loss(outputs)
    found = {"loss": loss, "outputs": outputs}
    if case.readout == "linear":
        d = np.where(valid, d_outputs, 0)
        found["readout.W_hy"], found["readout.b_y"] = np.einsum("bth,bto->ho", below, d), d.sum((0, 1))
        d_outputs = d @ w["readout.W_hy"].T
    for passes in reversed(kept):
        d_below = 0
        for passed, d in zip(passes, np.split(d_outputs, len(passes), -1), strict=True):
            d_x, gradients = back(problem, passed, d, every, fault)
            found |= gradients
            d_below = d_below + d_x
        d_outputs = d_below
    return found | {"inputs": d_outputs}


def one_way(problem, block, x, lengths, fault):
    W_z, b_z, W_h, b_h = (problem.weights[f"{block}.{name}"] for name in ("W_z", "b_z", "W_h", "b_h"))
    T, h = x.shape[1], problem.initial_state[f"{block}.h0"]
    steps = range(T)[::-1] if block.endswith("reverse") else range(T)
    valid = np.arange(T) < lengths[:, None]
    if fault == "the reverse direction begins at the padded end" and block.endswith("reverse"):
        valid[:] = True
    if fault == "the state runs on over padding":
        valid[:] = True
    cells, outputs = {}, np.zeros((*x.shape[:2], h.shape[1]))
    for t in steps:
        there, v = valid[:, t, None], x[:, t] @ W_h + b_h
        z, s = sigmoid(x[:, t] @ W_z + b_z), sigmoid(v)
        candidate = np.where(v >= 0, v + 0.5, s)
        cells[t] = h, z, v, s, candidate, there
        h = np.where(there, (1 - z) * h + z * candidate, h)
        outputs[:, t] = np.where(there | (fault == "outputs past the end are not zero"), h, 0)
    return {"block": block, "x": x, "steps": steps, "cells": cells, "outputs": outputs}


def back(problem, passed, d_outputs, every, fault):
    block, x = passed["block"], passed["x"]
    w = {name: problem.weights[f"{block}.{name}"] for name in ("W_z", "b_z", "W_h", "b_h")}
    found, d_x = {name: np.zeros_like(each) for name, each in w.items()}, np.zeros_like(x)
    d_h = np.zeros_like(problem.initial_state[f"{block}.h0"])
    for t in reversed(passed["steps"]):
        h, z, v, s, candidate, there = passed["cells"][t]
        d = np.where(there, d_outputs[:, t] + d_h, 0)
        d_z, d_v = d * (candidate - h) * z * (1 - z), d * z * np.where(v >= 0, 1, s * (1 - s))
        for name, each in (("z", d_z), ("h", d_v)):
            found[f"W_{name}"] += x[:, t].T @ each
            found[f"b_{name}"] += each.sum(0)
            d_x[:, t] += each @ w[f"W_{name}"].T
        d_h = np.where(there, d * (1 - z), 0 if fault == "the carry ends in padding" else d_h)
        if t % every == 0 and t and fault != "the carry is not cut":
            d_h = np.zeros_like(d_h)
        if fault == "the carry is cut a step late" and t % every == 1:
            d_h = np.zeros_like(d_h)
    return d_x, {f"{block}.h0": d_h, **{f"{block}.{name}": each for name, each in found.items()}}


BY_HAND = {
    "both directions": {**STACK, "sizes": {"batch": 3, "time": 5, "output": 4}},
    "cut": {
        "layers": 2,
        "lengths": [5, 4, 2],
        "sizes": {"batch": 3, "time": 5},
        "truncation": {"kind": "detach", "every": 2},
    },
}
FAULTS = [
    ("both directions", "the reverse direction begins at the padded end", "outputs"),
    ("both directions", "the state runs on over padding", "layer1.reverse.W_z"),
    ("both directions", "the carry ends in padding", "layer0.reverse.h0"),
    ("cut", "outputs past the end are not zero", "outputs"),
    ("cut", "the carry is not cut", "layer0.W_z"),
    ("cut", "the carry is cut a step late", "layer1.b_h"),
]


def checked(name, fault=""):
    case = harness.make_case(cell="min_gru", **BY_HAND[name])

    @harness.implementation("mine", recurrence="min_gru")
    def mine(problem):
        return min_gru_network(problem, fault)

    return harness.check_implementation(mine, case, require_all=True)


@pytest.mark.parametrize("name", BY_HAND)
def test_a_network_by_hand_matches(name):
    result = checked(name)
    assert result.passed, str(result)


@pytest.mark.parametrize(("name", "fault", "tensor"), FAULTS)
def test_a_wrong_network_is_caught(name, fault, tensor):
    problem = harness.make_case(cell="min_gru", **BY_HAND[name]).problem()
    comparison = harness.compare(min_gru_network(problem, fault), harness.run("derived", problem))
    assert tensor in {each.tensor for each in comparison.disagreements}


@pytest.mark.slow
def test_the_first_wrong_numbers_are_shown():
    result = checked("cut", "the carry is not cut")
    (found,) = next(iter(result.diagnoses.values()))
    assert found.fault == "unexplained"
    assert "inputs at step" in found.start


MISTAKES = {
    "no_vector_below": ("mlstm", "layers: 2\n", 2, 9, "(B, 4, 2) and is no vector", "layers: 1"),
    "several_inputs": ("rwkv4", "layers: 2\n", 2, 9, "rwkv4 has the inputs 'k' and 'v'", "layers: 1"),
    "readout_of_no_vector": ("mlstm", "readout: linear\nsizes: {output: 2}\n", 2, 10, "a readout reads one", "remove"),
    "loss_of_no_vector": ("mlstm", "loss: {kind: squared_error}\n", 2, 14, "is of vectors", "{kind: dot}"),
    "packed_and_both_ways": ("packed_selective_scan", "bidirectional: true\n", 2, 16, "'reset' marks", "remove it"),
    "truncated_both_ways": ("lru", "bidirectional: true\ntruncation: {kind: detach, every: 2}\n", 3, 13, "past is", ""),
    "too_few_lengths": ("lru", "lengths: [1, 2]\n", 2, 10, "a list of 3", "each sequence"),
    "a_length_too_long": ("lru", "lengths: [1, 2, 9]\n", 2, 17, "from 1 to 7", ""),
    "a_step_too_late": ("lru", "loss: {kind: dot, steps: [7]}\n", 2, 27, "from -7 to 6", ""),
    "a_readout_without_a_width": ("lru", "readout: linear\n", 1, 1, "needs its width", "output"),
    "a_width_without_a_readout": ("lru", "layers: 2\nsizes: {output: 2}\n", 3, 17, "no size", "readout: linear"),
    "targets_of_dot": ("lru", "targets: ones\n", 2, 10, "dot has no targets", ""),
    "wrong_targets": ("lru", "loss: {kind: squared_error}\ntargets: {values: [1]}\n", 3, 19, "a list of 3", ""),
    "last_states": ("lru", "layers: 2\ndraw: {upstream: last states alone}\n", 3, 18, "of its outputs", "remove it"),
    "far_too_many_layers": ("lru", "layers: 10001\n", 2, 9, "at most 10,000", ""),
    "ever_wider_layers": ("sru", "layers: 9\nbidirectional: true\n", 2, 9, "wider than the one below", ""),
    "unknown_truncation": ("lru", "truncation: {kind: windov, steps: 2}\n", 2, 13, "none, {kind: detach", "'window'"),
    "another_loss": ("lru", "loss: {kind: dott}\n", 2, 14, "'dott' should be", "'dot'"),
    "weights": ("lru", "layers: 2\nweights: ones\n", 3, 1, "is for networks of rnn, lstm or gru", "remove it"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_network_is_placed(tmp_path, name, monkeypatch):
    cell, text, line, column, problem, hint = MISTAKES[name]
    monkeypatch.setattr(checks, "_memory_there", lambda: 2**21)
    (tmp_path / "case.yaml").write_text(f"cell: {cell}\n{text}")
    (mistake,) = load([str(tmp_path / "case.yaml")]).mistakes
    assert (mistake.line, mistake.column) == (line, column), str(mistake)
    assert problem in mistake.problem
    assert hint in mistake.hint


def test_a_user_is_told_the_names_of_a_network():
    @harness.implementation("mine", recurrence="min_gru")
    def alone(problem):
        return {"W_z": problem.weights["W_z"]}

    result = harness.check_implementation(alone, harness.make_case(cell="min_gru", layers=2))
    assert "did you mean 'layer0.W_z'?" in str(result)


def test_an_implementation_may_support_some_networks():
    @harness.implementation("mine", recurrence="min_gru", supports={"layers": (1,)})
    def one_layer(problem):
        raise AssertionError("it is never called")

    result = harness.check_implementation(one_layer, harness.make_case(cell="min_gru", layers=2))
    assert "layers is 2, but mine has only 1" in str(result)


@harness.recurrence(weights={"a": ""}, inputs={"x": "H"}, state={"h": "H"})
def decay(xp, w, x, s):
    h = w["a"] * s["h"] + x["x"]
    return {"h": h}, h


def test_a_recurrence_of_ones_own():
    for cell in (decay, "decay"):
        problem = harness.make_case(cell=cell, layers=2, lengths=[3, 7, 1]).problem()
        found = harness.run("derived", problem)
        assert harness.compare(harness.run("complex-step", problem), found).matches
        a, x, lengths = problem.weights, problem.inputs, problem.lengths
        h0, h1 = problem.initial_state.values()
        for t in range(7):
            there = (t < lengths)[:, None]
            h0 = np.where(there, a["layer0.a"] * h0 + x[:, t], h0)
            h1 = np.where(there, a["layer1.a"] * h1 + h0, h1)
            np.testing.assert_allclose(found.outputs[:, t], np.where(there, h1, 0), rtol=1e-13)


@pytest.mark.parametrize("keys", [{}, STACK], ids=["alone", "in a network"])
def test_a_problem_that_is_too_large_is_sampled(keys, monkeypatch):
    monkeypatch.setattr(complex_step, "MOST_NUMBERS", 1e3)
    sizes = {**SIZES, "output": 4} if keys else SIZES
    problem = harness.make_case(cell="peephole_lstm", sizes=sizes, **keys).problem()
    expected, sampled = harness.run("derived", problem), harness.run("complex-step", problem)
    assert sampled.directional is not None
    assert any(each.sum() < each.size for each in sampled.known.values())
    assert harness.compare(sampled, expected).matches
    for name, gradient in expected.gradients.items():
        wrong = replace(expected, gradients={**expected.gradients, name: 1.001 * gradient})
        assert name in {each.tensor for each in harness.compare(sampled, wrong).disagreements}, name
