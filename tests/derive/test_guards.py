"""A guard sees each thing that a step may not do; a right step, and one that declares its slopes, passes."""

import numpy as np
import pytest

import harness
from harness.derive.guards import consistent
from harness.derive.stepping import StepError


def problem_of(step, *, seed=0, **sizes):
    made = harness.recurrence(weights={"W": "I H", "U": "H H"}, inputs={"x": "I"}, state={"h": "H"})(step)
    return made.problem(seed=seed, **sizes)


def is_complex_or_real(v):
    return isinstance(v, np.ndarray)


def right(xp, w, x, s):
    h = xp.tanh(x["x"] @ w["W"] + s["h"] @ w["U"])
    return {"h": h}, h


def with_kinks(xp, w, x, s):
    a = x["x"] @ w["W"] + s["h"] @ w["U"]
    h = xp.relu(a) - 0.1 * xp.abs(a) + xp.maximum(a, s["h"]) + xp.where(a > 0, a, 0.01 * a) + xp.minimum(a, 1.0)
    h = h / xp.sqrt(xp.mean(h * h, axis=-1, keepdims=True) + 1e-5)
    return {"h": h}, xp.softplus(h) * xp.silu(a)


def saturating(xp, w, x, s):
    h = xp.tanh(100 * (x["x"] @ w["W"])) * xp.sigmoid(1000 * s["h"]) + xp.softplus(500 * x["x"] @ w["W"]) / 500
    return {"h": h}, h


def stopping(xp, w, x, s):
    a = x["x"] @ w["W"] + xp.stop(s["h"]) @ w["U"]
    return {"h": xp.tanh(a)}, a


def clipping(xp, w, x, s):
    h = xp.clip_slope(xp.tanh, 0.3)(x["x"] @ w["W"] + s["h"] @ w["U"])
    return {"h": h}, h


def spiking(xp, w, x, s):
    fire = xp.surrogate(lambda v: xp.where(v > 0, 1.0 + 0 * v, 0 * v), lambda v: 1 / (1 + xp.abs(v)) ** 2)
    v = 0.9 * s["h"] + x["x"] @ w["W"]
    out = fire(v - 1)
    return {"h": v * (1 - out)}, out @ w["U"]


@pytest.mark.parametrize("step", [right, with_kinks, saturating, stopping, clipping, spiking])
@pytest.mark.parametrize("sizes", [{}, {"T": 1}, {"B": 1, "T": 2}, {"B": 1, "T": 1, "I": 1, "H": 1}])
def test_a_right_step_passes(step, sizes):
    for seed in range(3):
        consistent(problem_of(step, seed=seed, **sizes).sequences)


@pytest.mark.parametrize("gain", [4, 20])
def test_a_chaotic_step_passes(gain):
    def step(xp, w, x, s):
        h = xp.tanh(gain * (x["x"] @ w["W"] + s["h"] @ w["U"]))
        return {"h": h}, h

    for seed in range(10):
        consistent(problem_of(step, seed=seed, T=33, H=20).sequences)


def counting():
    """Return a step that keeps a count, which no array shows."""
    calls = [0]

    def step(xp, w, x, s):
        calls[0] += 1
        h = xp.tanh(x["x"] @ w["W"] + s["h"] @ w["U"]) * calls[0]
        return {"h": h}, h

    return step


def counting_within_a_sequence():
    """Return a step that counts the steps of each batch size, so that whole sequences are alike."""
    seen = {}

    def step(xp, w, x, s):
        t = seen[x["x"].shape] = seen.get(x["x"].shape, -1) + 1
        h = xp.tanh(x["x"] @ w["W"] + s["h"] @ w["U"])
        return {"h": h * (1 + t % 7)}, h  # two calls of seven steps each are alike

    return step


def drawing():
    random = np.random.default_rng(0)

    def step(xp, w, x, s):
        h = xp.tanh(x["x"] @ w["W"] + s["h"] @ w["U"]) * float(random.uniform(0.9, 1.1))
        return {"h": h}, h

    return step


def keeping_an_array():
    """Return a step that adds a part of the input before, unless it is being recorded."""
    kept = {}

    def step(xp, w, x, s):
        a = x["x"] @ w["W"]
        h = xp.tanh(a + s["h"] @ w["U"])
        if is_complex_or_real(a) and kept.get("shape") == a.shape:
            h = h + 0.5 * kept["a"]
        if is_complex_or_real(a):
            kept.update(a=a, shape=a.shape)
        return {"h": h}, h

    return step


def mixing_sequences(xp, w, x, s):
    a = x["x"] @ w["W"] + s["h"] @ w["U"]
    h = a - xp.mean(a, axis=0, keepdims=True)  # as batch normalisation does
    return {"h": h}, xp.tanh(h)


def mixing_sequences_by_a_sum(xp, w, x, s):
    h = xp.tanh(x["x"] @ w["W"] + s["h"] @ w["U"])
    return {"h": h}, h / xp.sqrt(xp.sum(h * h))


def shifting_sequences(xp, w, x, s):
    h = xp.tanh(x["x"] @ w["W"] + xp.concat([s["h"][1:], s["h"][:1]], axis=0) @ w["U"])
    return {"h": h}, h


REFUSED = {
    "keeps a count": (counting(), "two calls with the same arrays differ"),
    "keeps a count of steps": (counting_within_a_sequence(), "two halves|affect each other"),
    "draws random numbers": (drawing(), "two calls with the same arrays differ"),
    "keeps an array": (keeping_an_array(), "two calls|two halves"),
    "mixes the batch by a mean": (mixing_sequences, "sequences of the batch affect each other"),
    "mixes the batch by a sum": (mixing_sequences_by_a_sum, "sequences of the batch affect each other"),
    "shifts the batch": (shifting_sequences, "sequences of the batch affect each other"),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_step_that_keeps_or_mixes_is_refused(mistake):
    step, text = REFUSED[mistake]
    problem = problem_of(step)
    with pytest.raises(StepError, match=text):
        consistent(problem.sequences)


def of_kind(numpy_call, xp_call):
    """Return a step that does one thing where it is recorded, and another on plain arrays."""

    def step(xp, w, x, s):
        a = x["x"] @ w["W"] + s["h"] @ w["U"]
        h = numpy_call(a) if is_complex_or_real(a) else xp_call(xp, a)
        return {"h": xp.tanh(h)}, h

    return step


SILENT = {
    "np.abs": of_kind(np.abs, lambda xp, a: xp.abs(a)),
    "np.linalg.norm": of_kind(
        lambda a: a / np.linalg.norm(a, axis=-1, keepdims=True),
        lambda xp, a: a / xp.sqrt(xp.sum(a * a, axis=-1, keepdims=True)),
    ),
    "the real part": of_kind(lambda a: a.real**2, lambda _, a: a * a),
    "conj": of_kind(lambda a: a * a.conj(), lambda _, a: a * a),
    "np.sign": of_kind(lambda a: np.sign(a) * a, lambda xp, a: xp.abs(a)),
    "np.std": of_kind(
        lambda a: a + np.std(a, axis=-1, keepdims=True),
        lambda xp, a: a + xp.sqrt(xp.mean((a - xp.mean(a, axis=-1, keepdims=True)) ** 2, axis=-1, keepdims=True)),
    ),
}


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
@pytest.mark.parametrize("call", SILENT)
def test_what_the_complex_step_gets_silently_wrong_is_seen_by_a_difference(call):
    with pytest.raises(StepError, match=r"complex step gives .* along a random direction, differences give"):
        consistent(problem_of(SILENT[call]).sequences)


def test_a_step_that_is_recorded_as_another_is_refused():
    step = of_kind(np.tanh, lambda xp, a: xp.sigmoid(a))
    with pytest.raises(StepError, match="computes something else on plain arrays"):
        consistent(problem_of(step).sequences)


def of_strides(xp, w, x, s):
    a = x["x"] @ w["W"] + s["h"] @ w["U"]
    contiguous = w["U"].flags.c_contiguous if is_complex_or_real(w["U"]) else True
    return {"h": xp.tanh(a if contiguous else 2 * a)}, a


def test_a_step_that_depends_on_strides_is_refused():
    with pytest.raises(StepError, match="arrays with other strides in memory change the result"):
        consistent(problem_of(of_strides).sequences)


def test_the_oracle_refuses_too():
    with pytest.raises(StepError, match="affect each other"):
        harness.run("complex-step", problem_of(mixing_sequences))
