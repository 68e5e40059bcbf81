"""The plain passes as layers of networks, so that a network's diagnosis is measured on the same edits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from numpy import ndarray

import harness
from benchmarks.edits import passes
from harness.diagnosis.recurrent.layer import canonical_names, layer_of
from harness.problem import Problem
from harness.problem.reference import solve

CANONICAL = {"W": "W_xh", "U": "W_hh", "b": "b_h", "b_n": "b_hn"}
"""The names of weights in the plain passes, and the canonical ones."""

CASE: dict[str, Any] = {
    "sizes": {"batch": 3, "time": 6, "input": 4, "hidden": 5},
    "dtype": "float64",
    "weights": {"normal": 0.6, "seed": 1},
    "inputs": {"normal": 1.0, "seed": 2},
    "initial_state": {"normal": 0.5, "seed": 3},
    "loss": {"kind": "squared_error"},
    "targets": {"normal": 1.0, "seed": 4},
}

NETWORKS: tuple[tuple[str, Callable[..., Any], dict[str, str]], ...] = (
    ("rnn", passes.rnn_pass, {}),
    ("lstm", passes.lstm_pass, {}),
    ("gru", passes.gru_pass, {"reset": "after"}),
)
"""Each cell, its backward pass and the fields of its case."""


def problem_of(cell: str, more: dict[str, str]) -> Problem:
    """Return a network of one layer."""
    return harness.make_case(cell=cell, **CASE, **more).problem()


def called(function: Callable[..., Any], problem: Problem) -> dict[str, ndarray]:
    """Return the gradients of a network by a pass of its layer, by canonical name."""
    layer = layer_of(problem, solve(problem))
    assert layer is not None
    own = {canonical: name for name, canonical in CANONICAL.items()}
    weights = {own.get(name, name): each for name, each in layer.weights.items()}
    found = function(replace(layer, weights=weights).copy())
    names = canonical_names(layer)
    return {
        names[CANONICAL.get(name, name)]: each for name, each in found.items() if CANONICAL.get(name, name) in names
    }
