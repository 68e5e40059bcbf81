"""The imaginary parts of many complex steps at once give each element of a gradient, without a backward pass."""

import numpy as np
import pytest

import harness
from harness.case import Loss, Sizes, ValidCase
from harness.derive import imaginary, operations
from harness.derive.imaginary import all_elements, by_imaginary_parts
from harness.derive.network import loss_and_slopes
from harness.derive.recording import NetworkRecording, Recording
from harness.problem import build
from harness.problem.reference import solve

NUMBERS = {"normal": 0.7, "seed": 3}
CELLS = [("rnn", "after"), ("lstm", "after"), ("gru", "after"), ("gru", "before")]
SHAPES = {
    "plain": {},
    "layers and readout": {"layers": 2, "output": 4},
    "both directions": {"layers": 2, "bidirectional": True},
    "lengths": {"layers": 2, "output": 3, "lengths": (4, 2, 1)},
    "both directions and lengths": {"layers": 2, "bidirectional": True, "lengths": (3, 1, 2)},
    "detached": {"layers": 2, "truncation": {"kind": "detach", "every": 3}, "output": 2},
    "a window": {"layers": 2, "truncation": {"kind": "window", "steps": 1}},
    "labels": {"loss": Loss("softmax_cross_entropy", reduction="mean"), "output": 4, "lengths": (4, 2, 1)},
    "the last step": {"loss": Loss("dot", steps=(-1,), reduction="mean")},
    "one of each size": {"sizes": (1, 1, 1, 1), "output": 1, "layers": 2},
}


def problem_of(cell="rnn", *, output=None, loss=None, sizes=(3, 4, 2, 5), **fields):
    loss = loss or Loss("squared_error")
    targets = {"upstream" if loss.kind == "dot" else "targets": NUMBERS}
    if loss.kind == "softmax_cross_entropy":
        targets = {"targets": {"uniform": (0, output), "seed": 1}}
    case = ValidCase(
        name="c",
        file="c",
        cell=cell,
        sizes=Sizes(*sizes, output),
        readout="none" if output is None else "linear",
        weights=NUMBERS,
        inputs=NUMBERS,
        initial_state=NUMBERS,
        loss=loss,
        **targets,
        **fields,
    )
    return build(case, None)


def recorded(problem):
    recording = NetworkRecording(problem.network)
    loss, slopes = loss_and_slopes(problem.network, recording.value)
    np.testing.assert_allclose(loss, recording.answers["loss"], rtol=1e-13)
    return recording, [(node, slopes[:, t]) for t, node in enumerate(recording.outputs)]


def oracle(problem, positions=None):
    recording, ends = recorded(problem)
    return by_imaginary_parts(recording, ends, positions or all_elements(recording))


def assert_close(found, expected, most=1e-13):
    for name, each in found.items():
        assert each.shape == expected[name].shape, name
        assert np.abs(each - expected[name]).max() <= most * np.abs(expected[name]).max(), name


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("cell", "reset"), CELLS)
def test_it_is_the_gradient_by_hand(cell, reset, shape):
    problem = problem_of(cell, reset=reset, **SHAPES[shape])
    found = oracle(problem)
    assert found.keys() == problem.structure.gradients.keys()
    assert_close(found, solve(problem.as_dtype(np.longdouble)))


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "identity"])
def test_another_activation(activation):
    problem = problem_of(activation=activation, layers=2)
    assert_close(oracle(problem), solve(problem))


@pytest.mark.parametrize("chunk", [1, 100, 1000, 10**9])
@pytest.mark.parametrize("shape", ["both directions and lengths", "a window"])
def test_the_number_of_directions_at_once_changes_nothing(monkeypatch, chunk, shape):
    problem = problem_of("gru", reset="before", **SHAPES[shape])
    expected = oracle(problem)
    monkeypatch.setattr(imaginary, "CHUNK", chunk)
    assert_close(oracle(problem), expected, 1e-14)


@pytest.mark.parametrize("chunk", [100, 10**9])
def test_chosen_elements_are_those_of_the_whole(monkeypatch, chunk):
    monkeypatch.setattr(imaginary, "CHUNK", chunk)
    problem = problem_of("lstm", **SHAPES["both directions and lengths"])
    whole = oracle(problem)
    random = np.random.default_rng(0)
    every = all_elements(recorded(problem)[0])
    chosen = {name: np.sort(random.choice(each, max(1, len(each) // 3), replace=False)) for name, each in every.items()}
    for name, each in oracle(problem, chosen).items():
        shared = name in problem.structure.weights
        flat, expected = (a.reshape(1 if shared else 3, -1) for a in (each, whole[name]))
        largest = np.abs(expected).max()
        assert np.abs(flat[:, chosen[name]] - expected[:, chosen[name]]).max() <= 1e-14 * largest, name
        others = np.setdiff1d(every[name], chosen[name])
        assert np.isnan(flat[:, others]).all(), name


def test_no_backward_code_takes_part(monkeypatch):
    def forbidden(*_):
        raise AssertionError("the oracle called backward code")

    problem = problem_of("gru", output=3, layers=2)
    expected = oracle(problem)
    for operation in (operations.Elementwise, operations.Einsum, operations.Gather, operations.Sum, operations.Carry):
        monkeypatch.setattr(operation, "pull", forbidden)
    for name, each in oracle(problem).items():
        np.testing.assert_array_equal(each, expected[name])


def test_saturation_keeps_the_digits_that_one_minus_h_squared_loses():
    """At a = 15, 1 − tanh² loses all but three digits; the imaginary part has them all."""
    problem = problem_of(sizes=(1, 1, 1, 1), loss=Loss("dot")).copy()
    for array in (*problem.weights.values(), *problem.initial_state.values()):
        array[...] = 0
    problem.weights["layer0.W_xh"][...] = 15
    for array in (problem.inputs, problem.targets):
        array[...] = 1
    np.testing.assert_allclose(oracle(problem)["layer0.b_h"], 1 / np.cosh(15.0) ** 2, rtol=1e-14)


def test_an_element_that_the_loss_reads_itself():
    @harness.recurrence(weights={}, inputs={"x": "H"}, state={"h": "H"})
    def handing_on(xp, w, x, s):
        return {"h": s["h"] + x["x"]}, x["x"]

    sequences = handing_on.problem(T=2, H=3).sequences
    recording = Recording(sequences)
    found = by_imaginary_parts(recording, recording.ends(sequences), all_elements(recording))
    last = sequences.upstream_state["h"]
    np.testing.assert_allclose(found["inputs.x"], sequences.upstream + last[:, None], rtol=1e-14)
    np.testing.assert_allclose(found["h0"], last, rtol=1e-14)


def test_a_wrong_operation_is_seen(monkeypatch):
    """A mistake in handing an imaginary part on shows as a wrong gradient."""
    problem = problem_of("gru", layers=2)
    expected = solve(problem)
    right = imaginary._push

    def wrong(node, k):
        push = right(node, k)
        return (lambda dot: 1.001 * push(dot)) if node.operation.name == "tanh" else push

    monkeypatch.setattr(imaginary, "_push", wrong)
    found = oracle(problem)
    assert max(np.abs(found[name] - each).max() / np.abs(each).max() for name, each in found.items()) < 2
    with pytest.raises(AssertionError):
        assert_close(found, expected)
