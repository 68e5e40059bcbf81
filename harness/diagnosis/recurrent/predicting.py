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
from harness.derive.tape import Node
from harness.diagnosis.recurrent.rules import Place, Rule

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


def predicted_at_the_end(
    recording: Recording, problem: Sequences, rows: Sequence[Sequence[Rule]], inputs: Sequence[str]
) -> ndarray:
    """Return the gradients of inputs at the last step under each combination of rules, (R, elements).

    The way back begins there, so that they need one step of a pass.
    """
    last = problem.steps - 1
    per_row = sum(node.value.size for node in recording.tape.nodes if node.t == last)
    chunk = max(1, MOST_NUMBERS // per_row)
    found = []
    for start in range(0, len(rows), chunk):
        some = rows[start : start + chunk]
        adjoint = _adjoints(recording, problem, some, last)
        nodes = [recording.inputs[name.removeprefix("inputs.")][last] for name in inputs]
        zeros = np.zeros((len(some), 1))
        there = [adjoint.get(node.index, np.zeros((len(some), *node.shape))) for node in nodes]
        found.append(np.concatenate([(each.reshape(len(each), -1) + zeros) for each in there], 1))
    return np.concatenate(found)


def _predicted(recording: Recording, problem: Sequences, rows: Sequence[Sequence[Rule]]) -> dict[str, ndarray]:
    return _named(recording, problem, _adjoints(recording, problem, rows, 0), len(rows))


def _adjoints(
    recording: Recording, problem: Sequences, rows: Sequence[Sequence[Rule]], since: int
) -> dict[int, ndarray]:
    """Return the gradient of each node that the pass reaches down to a step, (R, …)."""
    R = len(rows)
    adjoint: dict[int, ndarray] = {}

    def add(node: Node, g: ndarray) -> None:
        adjoint[node.index] = adjoint[node.index] + g if node.index in adjoint else g

    begins = _Beginnings(problem, rows)
    upstream = begins.of([each.upstream for each in begins.different])  # (R, B, T, …)
    for t, node in enumerate(recording.outputs):
        if t >= since:
            add(node, upstream[:, :, t])
    for name, node in recording.last.items():
        add(node, begins.of([each.upstream_state[name] for each in begins.different]))
    acting: dict[Place, dict[tuple[int, Rule], list[int]]] = {}
    skipping: dict[int, list[int]] = {}
    for r, row in enumerate(rows):
        for i, rule in enumerate(row):
            for place in {**rule.handed, **rule.sources}:
                acting.setdefault(place, {}).setdefault((i, rule), []).append(r)
            if rule.skips is not None:
                skipping.setdefault(rule.skips, []).append(r)
    for node in reversed(recording.tape.nodes):
        if node.t < since:
            break
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
            changed = acting.get((node.site, k), {})
            if changed or skipped:
                handed = np.array(np.broadcast_to(handed, (R, *parent.shape)))
                for (_, rule), at in sorted(changed.items(), key=lambda each: each[0][0]):  # the second rule last
                    place, own = (node.site, k), g[at]
                    if place in rule.sources:
                        source = rule.sources[place](node)
                        own = adjoint[source.index][at] if source.index in adjoint else np.zeros_like(own)
                    change = rule.handed.get(place)
                    handed[at] = contribution(node, k, own) if change is None else change(node, own)
                handed[skipped] = 0
            add(parent, handed)
    return adjoint


class _Beginnings:
    """The beginning of the pass of each row.

    Attributes:
        different: the problems, with other upstream gradients, that there are among the rows.
    """

    def __init__(self, problem: Sequences, rows: Sequence[Sequence[Rule]]) -> None:
        found: dict[tuple[Rule, ...], int] = {}
        self.different: list[Sequences] = []
        self._which = np.zeros(len(rows), np.intp)
        for r, row in enumerate(rows):
            changing = tuple(rule for rule in row if rule.begins is not None)
            if changing not in found:
                found[changing] = len(self.different)
                self.different.append(_begun(problem, changing))
            self._which[r] = found[changing]

    def of(self, arrays: Sequence[ndarray]) -> ndarray:
        """Return an array of each row, (R, …), given one of each different problem."""
        return np.stack(arrays)[self._which]


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
        if f"inputs.{name}" in problem.constant:
            continue
        shared = name in problem.recurrence.context
        found[f"inputs.{name}"] = of(nodes[0]) if shared else np.stack([of(node) for node in nodes], 2)
    return {name: np.broadcast_to(each, (R, *each.shape[1:])) for name, each in found.items()}
