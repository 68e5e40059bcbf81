"""The backward passes written by hand against the reverse pass that is derived from the step."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from harness.derive.recording import Recording, answered
from harness.derive.reverse import gradients
from harness.recurrences import recurrences

BY_HAND = ["peephole_lstm", "layer_norm_lstm", "min_gru", "selective_scan", "delta_net", "mlstm"]
UNITS = 40
"""Maximum error of a tensor, in eps of its largest element."""

GATES = ("b", "b_z", "dt_bias", "inputs.z", "inputs.beta", "inputs.f")
MISTAKES = {
    "peephole_lstm": {
        "the output gate's peephole sees the old cell": ("(delta[:, :, 3] * after)", "(delta[:, :, 3] * before)"),
        "no gradient of the cell through the output gate": (" + d_o * p_o", ""),
        "no gradient of the cell through the input gate": (" + d_i * p_i", ""),
        "the output gate's slope is that of another gate": ("o[t] * (1 - o[t])", "o[t] * (1 - i[t])"),
        "the last cell's gradient is left out": ('upstream_state["c"]', '0 * upstream_state["c"]'),
        "the state is a step late": ("cache.states[:-1], rows", "cache.states[1:], rows"),
        "the carry is not transposed": ('.reshape(B, 4 * H) @ weights["U"].T', '[:, 0] @ weights["U"][:, :H]'),
        "the bias is a mean": ("rows.sum((0, 1))", "rows.mean(0).sum(0)"),
    },
    "layer_norm_lstm": {
        "no gradient through the mean": ("du - du.mean(-1, keepdims=True)", "du"),
        "no gradient through the root": (" - u * (u * du).mean(-1, keepdims=True)", ""),
        "the normalised cell is carried": ("dc = dc * f[t]", "dc = dc * f[t] * weights['g_c']"),
        "the scale is left out": ('weights["g_h"] * delta[t], cache', "delta[t], cache"),
        "the scale's gradient sees the gate": ("(of_squashed * of_cells)", "(of_squashed * o)"),
    },
    "min_gru": {
        "the candidate's slope is 1 everywhere": ("np.where(cache.linear, 1, candidates * (1 - candidates))", "1"),
        "the blend is the wrong way round": ("(candidates - cache.states[:-1])", "(cache.states[:-1] - candidates)"),
        "the carry is the gate": ("dh = of_states[t] * (1 - z[t])", "dh = of_states[t] * z[t]"),
    },
    "selective_scan": {
        "the step size by the decay alone": (" + of_driven * u", ""),
        "the state after the step": ("cache.states[:, :-1] * decay", "cache.states[:, 1:] * decay"),
        "no gradient past the state": (' + dy * weights["D"]', ""),
        "A is not a logarithm": ("dt) * cache.A", "dt)"),
        "the slope of silu without its second part": (" * (1 + z * (1 - gate))", ""),
    },
    "delta_net": {
        "the state does not unlearn on the way back": ("dS = dS - k[:", "dS = dS - 0 * k[:"),
        "the key writes but does not read": ("writes - reads", "writes"),
        "the query sees the state before the step": ("cache.states[:, 1:], upstream", "cache.states[:, :-1], upstream"),
        "no gradient through the length": (" - unit * (unit * d_unit).sum(-1, keepdims=True)", ""),
        "every head has the gate of the first": ("dv[:, t] = beta[:, t, :, None]", "dv[:, t] = beta[:, t, :1, None]"),
    },
    "mlstm": {
        "the maximum is a constant": ("dm = d_old[:, t]", "dm = 0 * d_old[:, t]"),
        "the denominator is a constant": ("d_weight * np.sign(s), 0)", "0 * s, 0)"),
        "the sign of the denominator": ("d_weight * np.sign(s)", "d_weight"),
        "no gradient through the floor": (", 0, -d_weight * floor)", ", 0, 0 * floor)"),
        "the normaliser is left out of the forget gate": (" + (dn * cache.n[:, t]).sum(-1)", ""),
        "the key is not scaled": (" * k.shape[-1] ** -0.5", ""),
    },
}


def by_hand(module, problem):
    return module.gradients(
        problem.weights, problem.inputs, problem.initial_state, problem.upstream, problem.upstream_state
    )


def derived(problem):
    recording = Recording(problem)
    found = {**gradients(recording, problem), **answered(recording, problem)}
    del found["loss"]
    return found


@pytest.mark.parametrize("sizes", [{}, {"B": 1, "T": 1, "seed": 1}, {"B": 2, "T": 9, "seed": 2}], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble], ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("name", BY_HAND)
def test_the_derived_reverse_pass_agrees(drawn, astype, worst, name, dtype, sizes):
    problem = astype(drawn(recurrences()[name], **sizes), dtype)
    module = importlib.import_module(f"reference_impls.{name}")
    found = by_hand(module, problem)
    assert {tensor.dtype for tensor in found.values()} == {np.dtype(dtype)}
    errors = worst(found, derived(astype(problem, np.longdouble)), dtype)
    assert max(errors.values()) <= UNITS, errors


@pytest.mark.parametrize("name", BY_HAND)
def test_nothing_is_written_to(drawn, name):
    problem = drawn(recurrences()[name])
    groups = (problem.weights, problem.inputs, problem.initial_state, problem.upstream_state)
    for array in (*(array for each in groups for array in each.values()), problem.upstream):
        array.setflags(write=False)
    by_hand(importlib.import_module(f"reference_impls.{name}"), problem)


@pytest.mark.parametrize("name", BY_HAND)
def test_large_numbers_overflow_nowhere(drawn, astype, name):
    """Gates are saturated there; a sigmoid or a softplus written without care would warn, and warnings are errors."""
    problem = drawn(recurrences()[name])
    large = replace(
        problem.mapped(lambda tensor, v: np.sign(v) * 800 if tensor in GATES else v), upstream=problem.upstream
    )
    found = by_hand(importlib.import_module(f"reference_impls.{name}"), large)
    assert all(np.isfinite(tensor).all() for tensor in found.values())


def test_the_maximum_of_mlstm_may_be_a_constant_for_a_loss_of_the_outputs(drawn, worst):
    """Dropping every dm changes no gradient, if no last state is in the loss."""
    module = importlib.import_module("reference_impls.mlstm")
    source = Path(module.__file__).read_text(encoding="utf-8")
    right = "dm = dm + from_floor[:, t] - d_old[:, t] - d_new[:, t]"
    assert source.count(right) == 1
    constant = ModuleType("mlstm")
    exec(compile(source.replace(right, "dm = 0 * dm"), module.__file__, "exec"), constant.__dict__)
    problem = drawn(recurrences()["mlstm"])
    of_outputs = replace(problem, upstream_state={name: 0 * g for name, g in problem.upstream_state.items()})
    assert max(worst(by_hand(constant, of_outputs), by_hand(module, of_outputs)).values()) <= UNITS
    assert max(worst(by_hand(constant, problem), by_hand(module, problem)).values()) > 1e6


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        pytest.param(name, *change, id=f"{name}: {called}")
        for name, changes in MISTAKES.items()
        for called, change in changes.items()
    ],
)
def test_a_mistake_is_seen(drawn, worst, name, right, wrong):
    module = importlib.import_module(f"reference_impls.{name}")
    source = Path(module.__file__).read_text(encoding="utf-8")
    assert source.count(right) == 1, source.count(right)
    mistaken = ModuleType(name)
    exec(compile(source.replace(right, wrong), module.__file__, "exec"), mistaken.__dict__)
    problem = drawn(recurrences()[name], T=3)
    expected = derived(problem)
    assert max(worst(by_hand(module, problem), expected).values()) <= UNITS
    errors = worst(by_hand(mistaken, problem), expected)
    assert max(errors.values()) > 1e6
    assert errors["outputs"] <= UNITS  # the mistake is in the backward pass alone
