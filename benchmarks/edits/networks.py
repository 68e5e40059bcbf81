"""The plain passes as layers of networks, so that a network's diagnosis is measured on the same edits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy import ndarray

import harness
from benchmarks.edits import passes
from harness.case.recurrent import Draw
from harness.derive.network import recurrence_of
from harness.problem import Problem
from harness.problem.recurrent import problem_of as recurrence_problem
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

KINDS: dict[str, dict[str, Any]] = {
    "one layer": {},
    "two layers": {"layers": 2},
    "both directions": {"layers": 2, "bidirectional": True},
    "lengths": {"layers": 2, "bidirectional": True, "lengths": [6, 4, 2]},
}
"""The networks around a cell."""

PASSES: tuple[tuple[str, Callable[..., Any], dict[str, str]], ...] = (
    ("rnn", passes.rnn_pass, {}),
    ("lstm", passes.lstm_pass, {}),
    ("gru", passes.gru_pass, {"reset": "after"}),
)
"""Each cell, its backward pass and the fields of its case."""


def problem_of(cell: str, more: dict[str, Any]) -> Problem:
    """Return a network."""
    return harness.make_case(cell=cell, **CASE, **more).problem()


def called(function: Callable[..., Any], problem: Problem) -> dict[str, ndarray]:
    """Return the gradients of a network by a pass of its layers, one sequence length after the other."""
    lengths = problem.lengths if problem.lengths is not None else np.full(len(problem.inputs), problem.inputs.shape[1])
    found: dict[str, ndarray] = {}
    _, upstream = problem.loss(solve(problem)["outputs"])
    for length in sorted(set(lengths.tolist())):
        at = lengths == length
        for name, each in _of_length(function, problem, at, upstream[at, :length], length).items():
            if name in problem.weights:
                found[name] = found.get(name, 0) + each
            else:
                whole = found.setdefault(name, np.zeros_like(problem.arrays[name]))
                if name == "inputs":
                    whole[at, :length] = each
                else:
                    whole[at] = each
    return found


def _of_length(
    function: Callable[..., Any], problem: Problem, at: ndarray, g: ndarray, length: int
) -> dict[str, ndarray]:
    """Return the gradients of the sequences of one length, given the gradient by their outputs, (B, T, O)."""
    structure = problem.structure
    below = [problem.inputs[at, :length]]
    for n in range(structure.layers - 1):
        below.append(np.concatenate([_forward(problem, b, at, below[-1]) for b in structure.blocks_of(n)], -1))
    found: dict[str, ndarray] = {}
    for n in reversed(range(structure.layers)):
        d_x = 0
        for block, part in zip(structure.blocks_of(n), np.split(g, structure.directions, -1), strict=True):
            turn = slice(None, None, -1 if block.endswith("reverse") else 1)
            layer = _layer(problem, block, at, below[n][:, turn], part[:, turn])
            own = {canonical: name for name, canonical in CANONICAL.items()}
            weights = {own.get(name, name): each for name, each in layer.weights.items()}
            returned = function(replace(layer, weights=weights).copy())
            d_x = d_x + returned.pop("inputs.x")[:, turn]
            found |= {f"{block}.{CANONICAL.get(name, name)}": each for name, each in returned.items()}
        g = d_x
    return {**found, "inputs": g}


def _layer(problem: Problem, block: str, at: ndarray, x: ndarray, upstream: ndarray) -> Any:
    """Return the problem of one direction of a layer."""
    recurrence = recurrence_of(problem.structure)
    B, T, I = x.shape
    drawn = recurrence_problem(
        recurrence, Draw(B=B, T=T, dtype=problem.case.dtype), {"I": I, "H": problem.structure.hidden}
    )
    return replace(
        drawn,
        weights={name: problem.weights[f"{block}.{name}"] for name in recurrence.weights},
        initial_state={name: problem.initial_state[f"{block}.{name}0"][at] for name in recurrence.state},
        inputs={"x": x},
        targets=upstream,
        upstream_state={name: np.zeros_like(each) for name, each in drawn.upstream_state.items()},
    )


def _forward(problem: Problem, block: str, at: ndarray, x: ndarray) -> ndarray:
    """Return the outputs of one direction of a layer, (B, T, H)."""
    turn = slice(None, None, -1 if block.endswith("reverse") else 1)
    upstream = np.zeros((*x.shape[:2], problem.structure.hidden))
    layer = _layer(problem, block, at, x[:, turn], upstream)
    outputs: Mapping[str, ndarray] = solve(layer)
    return outputs["outputs"][:, turn]
