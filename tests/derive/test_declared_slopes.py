"""A backward pass that is declared not to be the derivative is the same on every route."""

import numpy as np
import pytest

import harness


@harness.recurrence(weights={"W": "I H", "U": "H H"}, inputs={"x": "I"}, state={"h": "H"})
def clipped(xp, w, x, s):
    a = x["x"] @ w["W"] + s["h"] @ w["U"]
    h = xp.clip_slope(xp.tanh, 0.4)(a) + xp.clip_slope(lambda v: xp.sqrt(v * v + 1e-6), 0.3)(a)
    return {"h": h}, h


@harness.recurrence(weights={"W": "I H", "U": "H H"}, inputs={"x": "I"}, state={"v": "H"})
def spiking(xp, w, x, s):
    fire = xp.surrogate(lambda v: xp.where(v > 0, 1.0 + 0 * v, 0 * v), lambda v: 1 / (1 + 3 * xp.abs(v)) ** 2)
    v = 0.9 * s["v"] + x["x"] @ w["W"]
    out = fire(v - 0.3)
    return {"v": v * (1 - xp.stop(out))}, out @ w["U"]


RECURRENCES = [clipped, spiking]
DTYPES = ["float64", "float32"]


def assert_agree(route, recurrence, dtype):
    problem = recurrence.problem(dtype=dtype, seed=2)
    exact = harness.run("derived", problem.as_dtype("float64")).tensors
    found = harness.run(route, problem).tensors
    for name, array in exact.items():
        bound = 100 * np.finfo(dtype).eps * max(1e-3, np.abs(array).max())
        assert np.abs(found[name] - array).max() <= bound, name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("recurrence", RECURRENCES, ids=lambda each: each.name)
@pytest.mark.parametrize("route", ["derived", "complex-step", "forward-mode"])
def test_numpy_routes_agree(route, recurrence, dtype):
    assert_agree(route, recurrence, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("recurrence", RECURRENCES, ids=lambda each: each.name)
@pytest.mark.parametrize(
    "route",
    [
        pytest.param("torch-cell", marks=pytest.mark.framework("torch")),
        pytest.param("jax", marks=pytest.mark.framework("jax")),
        pytest.param("tensorflow", marks=pytest.mark.framework("tensorflow")),
    ],
)
def test_frameworks_agree(route, recurrence, dtype):
    assert_agree(route, recurrence, dtype)


def test_the_slope_is_the_declared_one():
    """By hand, of one number: the slope is limited, the value is not."""

    @harness.recurrence(weights={"w": ""}, inputs={"x": "I"}, state={"h": "I"})
    def one(xp, w, x, s):
        h = xp.clip_slope(lambda v: v * v, 0.5)(w["w"] * x["x"] + s["h"])
        return {"h": h}, h

    problem = one.problem(B=1, T=1, I=1, seed=1)
    a = problem.weights["w"] * problem.inputs["x"][0, 0, 0] + problem.initial_state["h"][0, 0]
    assert abs(2 * a) > 0.5
    g = problem.upstream[0, 0, 0] + problem.upstream_state["h"][0, 0]
    found = harness.run("derived", problem).tensors
    np.testing.assert_allclose(found["h0"], [[np.sign(a) * 0.5 * g]], rtol=1e-15)
    np.testing.assert_allclose(found["outputs"], [[[a * a]]], rtol=1e-15)
