"""A tape records what follows from a step alone; ``tests/recurrences/test_refusals`` holds most of what it refuses."""

import numpy as np
import pytest

import harness
from harness.derive.recording import Recording
from harness.derive.stepping import StepError


def recurrence(step):
    return harness.recurrence(weights={"W": "I H", "U": "H H"}, inputs={"x": "I"}, state={"h": "H"})(step)


def recorded(step, **options):
    return Recording(recurrence(step).problem(**options).sequences)


def plain(xp, w, x, s):
    h = xp.tanh(x["x"] @ w["W"] + s["h"] @ w["U"])
    return {"h": h}, h


def test_a_site_is_a_line_and_a_count_the_same_at_every_step():
    nodes = [node for node in recorded(plain, T=3).tape.nodes if node.operation is not None and node.site.line]
    sites = {t: [(node.site.line, node.site.nth) for node in nodes if node.t == t] for t in range(3)}
    line = plain.__code__.co_firstlineno + 1
    assert sites[0] == [(line, n) for n in range(4)]
    assert sites[0] == sites[1] == sites[2]


def test_an_operation_in_a_function_of_the_step_has_the_line_of_that_function():
    def gate(xp, a):
        return xp.sigmoid(a)

    def step(xp, w, x, s):
        h = gate(xp, x["x"] @ w["W"])
        return {"h": h}, h

    nodes = [node for node in recorded(step).tape.nodes if node.operation is not None and node.site.line]
    lines = {node.operation.name: node.site.line for node in nodes}
    assert lines == {"sigmoid": gate.__code__.co_firstlineno + 1, "matmul": step.__code__.co_firstlineno + 1}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_stays(dtype):
    def step(xp, w, x, s):
        a = x["x"] @ w["W"] + 0.5 * (s["h"] @ w["U"]) - 1
        h = xp.where(a > 0, 2 * xp.tanh(a), xp.mean(a, axis=-1, keepdims=True) / 3) ** 2 + xp.maximum(a, 0.1)
        return {"h": xp.clip_slope(xp.silu, 0.5)(h)}, xp.einsum("bh,bh->b", h, xp.softplus(h))

    assert {node.dtype for node in recorded(step, dtype=dtype).tape.nodes} == {np.dtype(dtype)}
    found = harness.run("derived", recurrence(step).problem(dtype=dtype))
    assert {str(array.dtype) for array in found.tensors.values()} == {dtype}


MISTAKES = {
    "np.linalg.norm": ("np.linalg.norm(s['h'])", "np.norm, which not every route can follow"),
    "np.add.reduce": ("np.add.reduce(s['h'])", "np.add"),
    "np.array": ("np.array(s['h'])", "NumPy array of one of its arrays"),
    "np.where": ("np.where(s['h'] > 0, s['h'], 0)", "use xp.where"),
    "transpose": ("s['h'] @ w['U'].T", r"\.T of an array.*permute_dims"),
    "astype": ("s['h'].astype(np.float32)", r"\.astype of an array"),
    "an array from the left": ("np.ones(5) * s['h']", "array that is not an argument, of shape"),
    "an index by a comparison": ("s['h'][s['h'] > 0]", "an index of a step is a"),
    "einsum with a diagonal": ("xp.einsum('hh->h', w['U'])", "a letter twice"),
    "einsum of too many letters": ("xp.einsum('bhk->b', s['h'])", "3 letters for an operand of 2 axes"),
    "einsum of too few operands": ("xp.einsum('bh,bk->b', s['h'])", "has 2 operands, but received 1"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_step_is_refused_by_name(mistake):
    call, text = MISTAKES[mistake]

    def step(xp, w, x, s):
        h = eval(call, {"np": np}, {"xp": xp, "w": w, "x": x, "s": s})
        return {"h": h}, h

    with pytest.raises(StepError, match=text) as refused:
        recurrence(step).problem()
    assert str(refused.value).startswith(f"step, line {step.__code__.co_firstlineno + 1} of {__file__}: ")


def test_a_constant_gets_no_gradient():
    def step(xp, w, x, s):
        h = xp.tanh(x["x"] @ w["W"] + xp.stop(s["h"] @ w["U"]) + xp.zeros_like(s["h"]))
        return {"h": h}, h

    found = harness.run("derived", recurrence(step).problem(T=2)).tensors
    assert not found["U"].any()
    assert not found["h0"].any()
    assert found["W"].any()
