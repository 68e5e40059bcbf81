"""Certified digits of every recurrence: proven, right, and of the step alone."""

from dataclasses import replace

import numpy as np
import pytest
from flint import arb, ctx

import harness
from harness.derive import balls
from harness.derive.imaginary import all_elements, by_imaginary_parts
from harness.derive.namespaces.balls import BallTape, contributed, gradients, in_balls
from harness.derive.operations import Einsum
from harness.derive.recording import Recording
from harness.derive.reverse import gradients as reverse_pass
from harness.precision.error_floor import from_intervals
from harness.precision.intervals import certification
from harness.precision.intervals.certification import NotCertified, certified, is_certified
from harness.recurrences import recurrences

EPS = float(np.finfo(np.longdouble).eps)


@pytest.fixture(autouse=True)
def precision():
    """Balls of 128 bits; python-flint's own have 53."""
    with ctx.workprec(128):
        yield


def off(found, expected):
    """Return the largest |ball − number| of a tensor, relative to its largest |number|."""
    assert found.shape == expected.shape
    wide = np.asarray(expected, np.longdouble)
    high = wide.astype(np.float64)
    low = (wide - high).astype(np.float64)
    apart = [
        float((ball - arb(a) - arb(b)).abs_upper())
        for ball, a, b in zip(found.reshape(-1), high.reshape(-1).tolist(), low.reshape(-1).tolist(), strict=True)
    ]
    return max(apart) / max(float(np.abs(high).max()), 1e-300)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [{}, {"B": 1, "T": 1}, {"B": 2, "T": 9, "seed": 1}], ids=str)
def test_every_recurrence_agrees_with_complex_step_in_longdouble(recurrence, drawn, exact, sizes):
    problem = drawn(recurrence, **sizes)
    found, expected = gradients(problem), exact(problem)
    assert expected.keys() < found.keys()
    for name, tensor in expected.items():
        assert off(found[name], tensor) < 60 * EPS, name
        wrong = tensor.copy()
        wrong.flat[-1] += 1e-15 * np.abs(tensor).max()
        assert off(found[name], wrong) > 60 * EPS, name


@pytest.mark.slow
def test_every_digit_is_proven_at_a_higher_precision(recurrence):
    """Each ball contains the ball of four times the precision, which is far smaller."""
    problem = recurrence.problem(T=5, B=2)
    answer = certified(problem)
    assert {"loss", "outputs", *problem.structure.gradients} <= answer.keys()
    with ctx.workprec(512):
        better = certification.solve(problem)
        for name, tensor in answer.items():
            assert is_certified(tensor), name
            for ball, other in zip(tensor.reshape(-1), better[name].reshape(-1), strict=True):
                assert ball.contains(other), name
                assert other.rad() <= ball.rad(), name


@pytest.mark.slow
def test_a_reverse_pass_is_not_needed(recurrence, drawn):
    """Tangents in balls, which no reverse pass has gone through, overlap the gradients of every recurrence."""
    problem = in_balls(drawn(recurrence, B=1, T=3))
    recording = Recording(problem, of=BallTape)
    backward = reverse_pass(recording, problem, contributed)
    forward = by_imaginary_parts(recording, recording.ends(problem), all_elements(recording))
    for name, tensor in backward.items():
        pairs = zip(tensor.reshape(-1), forward[name].reshape(-1), strict=True)
        for one, other in pairs:
            assert arb(one).overlaps(arb(other)), name
            assert not arb(one).overlaps(arb(other) + arb(1e-20)), name


POINTS = {"log": [0.3, 2.5], "sqrt": [0.3, 2.5], "log1p": [-0.4, 3.0]}


@pytest.mark.parametrize("name", balls.FUNCTIONS)
def test_every_slope_is_the_derivative(name):
    """Central differences with steps of 2⁻²⁰⁰, at 800 bits."""
    function = balls.FUNCTIONS[name]
    operands = len(function.times)
    with ctx.workprec(800):
        for point in POINTS.get(name, [-2.2, 0.7, 31.0]):
            values = [balls.to_balls(np.array([point + 0.5 * k])) for k in range(operands)]
            for k in range(operands):
                h = arb(2) ** -200
                moved = [[value + sign * h if j == k else value for j, value in enumerate(values)] for sign in (1, -1)]
                above, below = (function.apply(each, ())[0] for each in moved)
                slope = function.pull(values, k, balls.to_balls(np.ones(1)))[0]
                expected = (above - below) / (2 * h)
                assert abs(slope - expected) < arb(2) ** -300 * (1 + abs(expected)), (point, k)


@pytest.mark.parametrize(
    "spec", ["bi,ij->bj", "bhvk,bhk->bhv", "bhv,bhk->bhvk", "bi,ihd->bhd", "i,i->", "bij,bj,bi->b", "ij->ji", "ab,cb->"]
)
def test_products_of_whole_numbers_are_exact(spec):
    inputs, output = spec.split("->")
    random = np.random.default_rng(1)
    sizes = dict(zip("abcdhijkv", range(2, 11), strict=True))
    arrays = [random.integers(-9, 9, [sizes[each] for each in letters]) for letters in inputs.split(",")]
    given = [balls.to_balls(each) for each in arrays]
    operation = balls.Products(tuple(inputs.split(",")), output)
    value = operation.apply(given, [False] * len(given))
    plain = Einsum(tuple(inputs.split(",")), output)
    np.testing.assert_array_equal(value == np.einsum(spec, *arrays), np.full(value.shape, True))
    g = random.integers(-9, 9, value.shape)
    for k in range(len(arrays)):
        expected = plain.pull([each.astype(float) for each in arrays], k, g.astype(float))
        np.testing.assert_array_equal(operation.pull(given, k, balls.to_balls(g)) == expected, True)


def test_a_wrong_slope_in_balls_is_seen(drawn, exact, monkeypatch):
    problem = drawn(recurrences()["peephole_lstm"])
    expected = exact(problem)
    right = balls.FUNCTIONS["tanh"]
    wrong = replace(right, times=(lambda g, v, *_: g * (1 - v * v) * (1 + 2.0**-50),))
    monkeypatch.setitem(balls.FUNCTIONS, "tanh", wrong)
    found = gradients(problem)
    assert max(off(found[name], tensor) for name, tensor in expected.items()) > 1000 * EPS


@harness.recurrence(weights={"W": "I H"}, inputs={"x": "I"}, state={"h": "H"})
def kinked(xp, w, x, s):
    a = x["x"] @ w["W"]  # (B, H)
    top = xp.maximum(a / 3 + a / 3, a - a / 3)  # equal, which no precision shows
    return {"h": xp.relu(s["h"]) + top}, xp.abs(a)


@harness.recurrence(weights={"W": "I H"}, inputs={"x": "I"}, state={"h": "H"})
def tied(xp, w, x, s):
    a = x["x"] @ w["W"]  # (B, H)
    equal = xp.where(s["h"] == 1.5, a, 2 * a)
    return {"h": xp.maximum(s["h"], s["h"]) + xp.minimum(xp.relu(0 * a), equal - equal)}, a


def test_a_comparison_that_no_precision_decides_is_refused_with_its_line(monkeypatch):
    monkeypatch.setattr(certification, "LAST_PRECISION", 256)
    line = kinked.step.__code__.co_firstlineno + 3
    with pytest.raises(
        NotCertified, match=f"256 bits do not decide which operand of maximum .*, in line {line} of .*test_certified.py"
    ):
        certified(kinked.problem(B=1, T=1, H=1, I=2))
    with pytest.raises(harness.Unsupported, match="do not decide which operand of maximum"):
        harness.run("certified", kinked.problem(B=1, T=1, H=1, I=2))


def test_exact_ties_are_decided_as_by_the_other_routes():
    problem = tied.problem(B=2, T=1, H=3, I=2)
    found, expected = certified(problem), harness.run("derived", problem).tensors
    for name, tensor in expected.items():
        assert off(found[name], tensor) < 1e-14, name


@harness.recurrence(weights={"w": ""}, inputs={"x": "H"}, state={"h": "H"})
def declared(xp, w, x, s):
    a = w["w"] * s["h"] + x["x"]  # (B, H)
    step = xp.surrogate(lambda v: xp.where(v > 0, 1 + 0 * v, 0 * v), lambda v: 1 / (1 + xp.abs(v)) ** 2)
    h = xp.clip_slope(lambda v: xp.exp(v) * v, 0.7)(a) + step(a) * xp.stop(xp.tanh(a))
    return {"h": h / 4}, h


@harness.recurrence(weights={"w": ""}, inputs={"x": "H"}, state={"h": "H"})
def outside(xp, w, x, s):
    a = xp.surrogate(lambda v: np.cbrt(v), lambda v: 0 * v + 1)(w["w"] * s["h"] + x["x"])
    return {"h": a}, a


def test_declared_deviations_are_followed():
    problem = declared.problem(B=2, T=4, H=3)
    found, expected = certified(problem), harness.run("derived", problem).tensors
    for name, tensor in expected.items():
        assert off(found[name], tensor) < 1e-14, name


def test_a_declared_function_outside_the_namespace_is_refused_with_its_line():
    line = outside.step.__code__.co_firstlineno + 2
    with pytest.raises(harness.Unsupported, match=rf"ball arithmetic does not reach the step: outside, line {line} of"):
        harness.run("certified", outside.problem())


def test_what_would_take_too_long_is_unsupported():
    problem = recurrences()["lstm"].problem(B=64, T=60, I=64, H=64)
    with pytest.raises(harness.Unsupported, match=r"multiplications of intervals of 128 bits; at most 2\.5e\+08"):
        harness.run("certified", problem)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_floor_is_the_distance_from_proven_digits(dtype):
    problem = recurrences()["delta_net"].problem(dtype=dtype, T=4)
    baseline = harness.run("derived", problem).tensors
    floor = from_intervals(problem, baseline)
    assert floor.source == "certified"
    eps = np.finfo(dtype).eps
    for name, tensor in baseline.items():
        largest = np.abs(tensor).max()
        assert floor.errors[name].max() <= 20 * eps * largest, name
        wrong = tensor.copy()
        wrong.flat[0] += 100 * eps * largest
        assert from_intervals(problem, {name: wrong}).errors[name].max() > 50 * eps * largest, name


def test_answers_are_kept_by_the_upstream_gradients_of_states_too():
    recurrence = recurrences()["min_gru"]
    problem = recurrence.problem(T=2, B=1)
    other = replace(problem, upstream_state={name: 2 * each for name, each in problem.upstream_state.items()})
    assert certified(problem) is certified(problem.copy())
    assert not certified(problem)["h0"].flat[0].overlaps(certified(other)["h0"].flat[0])
