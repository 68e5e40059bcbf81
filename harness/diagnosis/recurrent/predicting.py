"""The gradients of broken reverse passes, many at once along a leading axis.

A rule changes the contribution of one operation to one operand, so that row is replaced and all others are computed
together. A small pass costs its number of NumPy calls, which does not grow with the number of rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy import ndarray

from harness.derive.reverse import contribution
from harness.derive.tape import Node
from harness.diagnosis.recurrent.rules import Place, Rule
from harness.diagnosis.recurrent.tracks import Taped, Upstream

MOST_NUMBERS = 2**24
"""Maximum of numbers that the rows of one pass may take in all nodes, 128 MiB in float64."""


def predicted(problem: Taped, rows: Sequence[Sequence[Rule]]) -> dict[str, ndarray]:
    """Return every gradient under each combination of rules, (R, …) by name.

    Args:
        problem: the problem on a tape, in float64.
        rows: for each of R rows the rules that are broken together.
    """
    chunk = max(1, MOST_NUMBERS // problem.size)
    parts = [_named(problem, rows[start : start + chunk]) for start in range(0, len(rows), chunk)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def predicted_at_the_end(problem: Taped, rows: Sequence[Sequence[Rule]], inputs: Sequence[str]) -> ndarray:
    """Return the gradients of inputs at the last step under each combination of rules, (R, elements).

    The way back begins there, so that they need one step of a pass; all layers run one way.
    """
    last = problem.steps - 1
    per_row = sum(node.value.size for node in problem.graph.tape.nodes if node.t == last)
    chunk = max(1, MOST_NUMBERS // per_row)
    found = []
    for start in range(0, len(rows), chunk):
        some = rows[start : start + chunk]
        adjoint = _adjoints(problem, some, last)
        nodes = [problem.graph.sources[name][last] for name in inputs]
        zeros = np.zeros((len(some), 1))
        there = [adjoint.get(node.index, np.zeros((len(some), *node.shape))) for node in nodes]
        found.append(np.concatenate([(each.reshape(len(each), -1) + zeros) for each in there], 1))
    return np.concatenate(found)


def _adjoints(problem: Taped, rows: Sequence[Sequence[Rule]], since: int) -> dict[int, ndarray]:
    """Return the gradient of each node that the pass reaches down to a step, (R, …)."""
    R = len(rows)
    adjoint: dict[int, ndarray] = {}

    def add(node: Node, g: ndarray) -> None:
        adjoint[node.index] = adjoint[node.index] + g if node.index in adjoint else g

    acting: dict[Place, dict[tuple[int, Rule], list[int]]] = {}
    skipping: dict[tuple[str, int], list[int]] = {}
    for r, row in enumerate(rows):
        for i, rule in enumerate(row):
            for place in {**rule.handed, **rule.sources}:
                acting.setdefault(place, {}).setdefault((i, rule), []).append(r)
            for skipped_step in rule.skips.items():
                skipping.setdefault(skipped_step, []).append(r)
    passing = _Passing(problem, skipping)
    begins = _Beginnings(problem.upstream, rows)
    different = [problem.ends(each) for each in begins.different]
    states = ["" for _ in problem.graph.outputs] + list(problem.upstream.states)
    for i, ((node, _), state) in enumerate(zip(different[0], states, strict=True)):
        if node.t >= since:
            for target, part in passing.parts(node, state, begins.of([each[i][1] for each in different])):
                add(target, part)
    arriving = _arriving(problem, rows) if since == 0 else []
    for node in reversed(problem.graph.tape.nodes):
        while arriving and node.index <= arriving[-1][0]:
            _, outputs, acting_rows = arriving.pop()
            _arrived(adjoint, outputs, acting_rows, R)
        if node.index not in adjoint or node.operation is None or node.t < since:
            continue
        g = adjoint[node.index]
        skipped = skipping.get((node.block, node.t), []) if node.site.line else []
        for k, parent in enumerate(node.parents):
            if parent.operation is None and not parent.name:
                continue
            handed = contribution(node, k, g)
            changed = acting.get((node.block, node.site, k), {})
            if changed or skipped:
                handed = np.array(np.broadcast_to(handed, (R, *parent.shape)))
                for (_, rule), at in sorted(changed.items(), key=lambda each: each[0][0]):  # the second rule last
                    place, own = (node.block, node.site, k), g[at]
                    if place in rule.sources:
                        source = rule.sources[place](node)
                        own = adjoint[source.index][at] if source.index in adjoint else np.zeros_like(own)
                    change = rule.handed.get(place)
                    handed[at] = contribution(node, k, own) if change is None else change(node, own)
                handed[skipped] = 0
            for target, part in passing.parts(parent, node.site.state, handed):
                add(target, part)
    return adjoint


def _arriving(
    problem: Taped, rows: Sequence[Sequence[Rule]]
) -> list[tuple[int, list[Node], list[tuple[int, Callable[[ndarray], ndarray]]]]]:
    """Return, for each part that the gradients arrive at changed, its outputs and the changes by row, the last last."""
    found = []
    for track in problem.tracks:
        acting = [
            (r, rule.arrives[track.block]) for r, row in enumerate(rows) for rule in row if track.block in rule.arrives
        ]
        if acting:
            outputs = [track.outputs[p] for p in range(track.steps)]
            found.append((max(node.index for node in outputs), outputs, acting))
    return sorted(found, key=lambda each: each[0])


def _arrived(
    adjoint: dict[int, ndarray],
    outputs: list[Node],
    acting: list[tuple[int, Callable[[ndarray], ndarray]]],
    R: int,
) -> None:
    """Change the gradients that arrived by the outputs of a part, before its own steps add to them."""
    given = [np.array(adjoint[node.index]) if node.index in adjoint else np.zeros((R, *node.shape)) for node in outputs]
    for r, change in acting:
        changed = change(np.stack([each[r] for each in given], 1))  # (B, T, …)
        for p, each in enumerate(given):
            each[r] = changed[:, p]
    adjoint |= {node.index: each for node, each in zip(outputs, given, strict=True)}


class _Passing:
    """The states whose gradient a skipped step hands on as it is."""

    def __init__(self, problem: Taped, skipping: Mapping[tuple[str, int], list[int]]) -> None:
        self._skipping = skipping
        self._into: dict[tuple[int, str], tuple[Node, tuple[str, int]]] = {}  # by the node after the step
        for each in problem.graph.visits if skipping else ():
            if (each.block, each.t) in skipping:
                for state, node in each.leaving.items():
                    self._into[node.index, state] = each.entering[state], (each.block, each.t)

    def parts(self, node: Node, state: str, g: ndarray) -> list[tuple[Node, ndarray]]:
        """Return the nodes that a gradient goes to, in parts by row, given the state that the node is used as."""
        into = self._into.get((_unmasked(node).index, state)) if state and self._skipping else None
        if into is None:
            return [(node, g)]
        entering, step = into
        rows = self._skipping[step]
        own, others = np.array(g), np.zeros_like(g)
        own[rows], others[rows] = 0, g[rows]
        return [(node, own), (entering, others)]


def _unmasked(node: Node) -> Node:
    """Return the state of a step, where a mask keeps that of the step before for some sequences."""
    return (
        node.parents[0]
        if node.operation is not None and node.operation.name == "where" and not node.site.line
        else node
    )


class _Beginnings:
    """The beginning of the pass of each row.

    Attributes:
        different: the different upstream gradients that there are among the rows.
    """

    def __init__(self, upstream: Upstream, rows: Sequence[Sequence[Rule]]) -> None:
        found: dict[tuple[Rule, ...], int] = {}
        self.different: list[Upstream] = []
        self._which = np.zeros(len(rows), np.intp)
        for r, row in enumerate(rows):
            changing = tuple(rule for rule in row if rule.begins is not None)
            if changing not in found:
                found[changing] = len(self.different)
                self.different.append(_begun(upstream, changing))
            self._which[r] = found[changing]

    def of(self, arrays: Sequence[ndarray]) -> ndarray:
        """Return an array of each row, (R, …), given one of each different beginning."""
        return np.stack(arrays)[self._which]


def _begun(upstream: Upstream, row: Sequence[Rule]) -> Upstream:
    for rule in row:
        if rule.begins is not None:
            upstream = rule.begins(upstream)
    return upstream


def _named(problem: Taped, rows: Sequence[Sequence[Rule]]) -> dict[str, ndarray]:
    """Return every gradient of each row, (R, …) by name."""
    adjoint, R = _adjoints(problem, rows, 0), len(rows)

    def of(node: Node) -> ndarray:
        return np.broadcast_to(adjoint.get(node.index, np.zeros((R, *node.shape))), (R, *node.shape))

    return {
        name: np.stack([of(each) for each in source], 2) if isinstance(source, list) else of(source)
        for name, source in problem.graph.sources.items()
    }
