"""The gradients of broken reverse passes, many at once along a leading axis.

A rule changes the contribution of one operation to one operand, so that row is replaced and all others are computed
together. A small pass costs its number of NumPy calls, which does not grow with the number of rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy import ndarray

from harness.derive.operations import Carry
from harness.derive.recording import Recording, Sequences
from harness.derive.reverse import contribution
from harness.derive.tape import Node, Site
from harness.diagnosis.recurrent.rules import Rule

MOST_NUMBERS = 2**24
"""Maximum of numbers that the rows of one pass may take in all nodes, 128 MiB in float64."""


def predicted(recording: Recording, problem: Sequences, rows: Sequence[Sequence[Rule]]) -> dict[str, ndarray]:
    """Return every gradient under each combination of rules, (R, …) by name.

    Args:
        recording: the problem on a tape, in float64.
        problem: the problem.
        rows: for each of R rows the rules that are broken together.
    """
    per_row = sum(node.value.size for node in recording.tape.nodes)
    chunk = max(1, MOST_NUMBERS // per_row)
    parts = [_predicted(recording, problem, rows[start : start + chunk]) for start in range(0, len(rows), chunk)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _predicted(recording: Recording, problem: Sequences, rows: Sequence[Sequence[Rule]]) -> dict[str, ndarray]:
    R = len(rows)
    adjoint: dict[int, ndarray] = {}

    def add(node: Node, g: ndarray) -> None:
        adjoint[node.index] = adjoint[node.index] + g if node.index in adjoint else g

    begins = [_begun(problem, row) for row in rows]
    upstream = np.stack([each.upstream for each in begins])  # (R, B, T, …)
    for t, node in enumerate(recording.outputs):
        add(node, upstream[:, :, t])
    for name, node in recording.last.items():
        add(node, np.stack([each.upstream_state[name] for each in begins]))
    acting: dict[tuple[Site, int], list[tuple[int, Rule]]] = {}
    skipping: dict[int, list[int]] = {}
    for r, row in enumerate(rows):
        for rule in row:
            if rule.site is not None:
                acting.setdefault((rule.site, rule.k), []).append((r, rule))
            if rule.skips is not None:
                skipping.setdefault(rule.skips, []).append(r)
    for node in reversed(recording.tape.nodes):
        if node.index not in adjoint or node.operation is None:
            continue
        g = adjoint[node.index]
        skipped = [] if isinstance(node.operation, Carry) else skipping.get(node.t, [])
        for state, after in recording.leaving[node.t].items() if skipped else ():
            if after is node:  # the step hands the gradients of its states on as they are
                handed = np.zeros_like(g)
                handed[skipped] = g[skipped] - (
                    upstream[skipped, :, node.t] if node is recording.outputs[node.t] else 0
                )
                add(recording.entering[node.t][state], handed)
        for k, parent in enumerate(node.parents):
            if parent.operation is None and not parent.name:
                continue
            handed = contribution(node, k, g)
            changed = acting.get((node.site, k), ())
            if changed or skipped:
                handed = np.array(np.broadcast_to(handed, (R, *parent.shape)))
                for r, rule in changed:
                    assert rule.handed is not None
                    handed[r] = rule.handed(node, g[r])
                handed[skipped] = 0
            add(parent, handed)
    return _named(recording, problem, adjoint, R)


def _begun(problem: Sequences, row: Sequence[Rule]) -> Sequences:
    for rule in row:
        if rule.begins is not None:
            problem = rule.begins(problem)
    return problem


def _named(recording: Recording, problem: Sequences, adjoint: Mapping[int, ndarray], R: int) -> dict[str, ndarray]:
    def of(node: Node) -> ndarray:
        return adjoint.get(node.index, np.zeros((R, *node.shape)))

    found = {name: of(node) for name, node in recording.weights.items()}
    found |= {f"{name}0": of(node) for name, node in recording.initial_state.items()}
    for name, nodes in recording.inputs.items():
        shared = name in problem.recurrence.context
        found[f"inputs.{name}"] = of(nodes[0]) if shared else np.stack([of(node) for node in nodes], 2)
    return {name: np.broadcast_to(each, (R, *each.shape[1:])) for name, each in found.items()}
