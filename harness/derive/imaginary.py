r"""Gradients from the forward pass alone: the imaginary parts of many complex steps, over one recording.

For an analytic f and a tiny h, f(q + ih) = f(q) + ih f'(q) − …, so that f'(q) = Im f(q + ih) / h. The imaginary part is
too small to change the real one. So all directions share the recorded real numbers, and each carries its imaginary part
alone, in units of h, written with a dot:

    a sum of products, a move of elements     the operation itself, with q̇ in place of q, since it is linear in q
    a function φ of each element              Σ_k q̇_k ⊙ Im φ(…, q_k + ih, …) / h, whose second factor all share

Sequences do not affect each other, so an element of an input or an initial state is moved in all sequences at once.
Directions enter in the order of the tape, and a node has those that have entered so far: the first R of all.

Squire and Trapp 1998, "Using complex variables to estimate derivatives of real functions".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from harness.derive.operations import SIGNS, Carry, Einsum, Elementwise, Gather, padded
from harness.derive.recording import Graph
from harness.derive.tape import Node

CHUNK = 2**16
"""Number of imaginary parts of a node that are carried at once; so many fit into a cache."""

Ends = Iterable[tuple[Node, ndarray]]
"""Nodes that the loss reads, each with the gradient of the loss by it."""


class _Elements(NamedTuple):
    """Elements of a node that are moved, one in each direction.

    Attributes:
        node: the node.
        positions: of the elements, in the flattened node, or in a flattened sequence of it if ``by_sequence``.
        by_sequence: whether each element is moved in all sequences at once.
        into: for each direction the position of its result in the flattened gradient, or in a sequence of it.
        name: the name of the gradient.
    """

    node: Node
    positions: ndarray
    by_sequence: bool
    into: ndarray
    name: str

    def part(self, rows: slice) -> _Elements:
        """Return some of them."""
        return self._replace(positions=self.positions[rows], into=self.into[rows])


class _Seed(NamedTuple):
    """Directions that move single elements of a node, by one each.

    Attributes:
        rows: the directions.
        positions: of the elements.
        by_sequence: whether each is moved in all sequences.
    """

    rows: ndarray
    positions: ndarray
    by_sequence: bool

    def dense(self, node: Node) -> ndarray:
        """Return the imaginary parts of the node, (R, …), zero in directions that came before."""
        R, shape = int(self.rows[-1]) + 1, node.shape
        found = np.zeros((R, *shape), node.dtype)
        if self.by_sequence:
            found.reshape(R, shape[0], -1)[self.rows, :, self.positions] = 1
        else:
            found.reshape(R, -1)[self.rows, self.positions] = 1
        return found


def all_elements(graph: Graph) -> dict[str, ndarray]:
    """Return the positions of all elements of each gradient: of a weight, and of one sequence of other arrays."""
    return {name: np.arange(int(np.prod(_shape(graph, name)))) for name in graph.sources}


def by_imaginary_parts(graph: Graph, ends: Ends, positions: Mapping[str, ndarray]) -> dict[str, ndarray]:
    """Return gradients by complex steps.

    Args:
        graph: a recurrence or a network on a tape.
        ends: the nodes that the loss reads, each with the gradient of the loss by it.
        positions: of the elements of each gradient, in a flattened weight, and in a flattened sequence, (T, …) or (…),
            of other arrays.

    Returns:
        The gradients by name; NaN in other elements.
    """
    replay = _Replay(graph, ends)
    found: dict[str, ndarray] = {}
    for name, source in graph.sources.items():
        size = int(np.prod(_shape(graph, name)))
        sample = source[0] if isinstance(source, list) else source
        found[name] = np.full((size,) if name in graph.shared else (len(sample.value), size), np.nan, sample.dtype)
    moved = sorted(_elements(graph, positions), key=lambda each: replay.first_use(each.node))
    for chunk in _chunks(moved, replay.rows_at_once):
        changes = replay.changes(chunk)  # (R, B)
        row = 0
        for each in chunk:
            change = changes[row : row + len(each.positions)]
            row += len(change)
            if each.by_sequence:
                found[each.name][:, each.into] = change.T
            else:
                found[each.name][each.into] = change.sum(1)
    return {
        name: array.reshape(_shape(graph, name) if name in graph.shared else (len(array), *_shape(graph, name)))
        for name, array in found.items()
    }


def _shape(graph: Graph, name: str) -> tuple[int, ...]:
    """Return the shape of a weight, or of one sequence of another array."""
    source = graph.sources[name]
    if isinstance(source, list):
        return (len(source), *source[0].shape[1:])
    return source.shape if name in graph.shared else source.shape[1:]


def _elements(graph: Graph, positions: Mapping[str, ndarray]) -> Iterator[_Elements]:
    for name, chosen in positions.items():
        source = graph.sources[name]
        if not isinstance(source, list):
            yield _Elements(source, chosen, name not in graph.shared, chosen, name)
            continue
        size = int(np.prod(source[0].shape[1:]))
        for t, node in enumerate(source):
            into = chosen[chosen // size == t]
            if len(into):
                yield _Elements(node, into % size, True, into, name)


def _chunks(moved: Sequence[_Elements], most: int) -> Iterator[list[_Elements]]:
    """Yield the elements in groups of at most so many."""
    chunk: list[_Elements] = []
    room = most
    for each in moved:
        start = 0
        while start < len(each.positions):
            part = each.part(slice(start, start + room))
            chunk.append(part)
            start, room = start + len(part.positions), room - len(part.positions)
            if not room:
                yield chunk
                chunk, room = [], most
    if chunk:
        yield chunk


Push = Callable[[ndarray], ndarray]
"""A function from the imaginary parts of an operand to those that it hands on, (R, …) each."""


class _Replay:
    """A recording through which imaginary parts are carried, again and again."""

    def __init__(self, graph: Graph, ends: Ends) -> None:
        self._ends: dict[int, ndarray] = {}
        self._batch = len(graph.outputs[0].value)
        for node, g in ends:
            if g.any():
                flat = g.reshape(self._batch, -1, 1)
                self._ends[node.index] = self._ends[node.index] + flat if node.index in self._ends else flat
        self._nodes = _leading_to(graph.tape.nodes, self._ends)
        self._first: dict[int, int] = {}
        last: dict[int, int] = {}
        for n, node in enumerate(self._nodes):
            for parent in node.parents:
                self._first.setdefault(parent.index, n)
                last[parent.index] = n
        self._expiring: dict[int, list[int]] = {}
        for index, n in last.items():
            self._expiring.setdefault(n, []).append(index)
        self._pushes: dict[tuple[int, int], Push] = {}
        self.rows_at_once = max(1, CHUNK // max((node.value.size for node in self._nodes), default=1))

    def first_use(self, node: Node) -> int:
        """Return the position of the first operation that reads a node; the number of operations if none does."""
        return self._first.get(node.index, len(self._nodes))

    def changes(self, moved: Sequence[_Elements]) -> ndarray:
        """Return the derivative of each sequence's part of the loss along each direction, (R, B)."""
        seeds, row = dict[int, list[_Seed]](), 0
        for each in moved:
            rows = np.arange(row, row + len(each.positions))
            seeds.setdefault(each.node.index, []).append(_Seed(rows, each.positions, each.by_sequence))
            row += len(rows)
        changes = np.zeros((row, self._batch), moved[0].node.dtype)
        dots: dict[int, ndarray] = {}
        for each in moved:
            if each.node.index in self._ends:  # the loss reads an argument of the step as it is
                self._add(changes, each.node, seeds[each.node.index][0].dense(each.node))
        for n in range(self.first_use(moved[0].node), len(self._nodes)):
            node = self._nodes[n]
            parts: list[ndarray] = []
            for k, parent in enumerate(node.parents):
                if parent.index in seeds:
                    parts += self._of_seeds(node, k, seeds)
                if parent.index in dots:
                    parts.append(self._push(node, k)(dots[parent.index]))
            if parts:
                dot = dots[node.index] = _sum(parts, node.shape)
                if node.index in self._ends:
                    self._add(changes, node, dot)
            for index in self._expiring.get(n, ()):
                dots.pop(index, None)
        return changes

    def _add(self, changes: ndarray, node: Node, dot: ndarray) -> None:
        """Add the derivative that the loss has through a node that it reads."""
        wide = dot.reshape(len(dot), self._batch, 1, -1)
        changes[: len(dot)] += np.matmul(wide, self._ends[node.index])[:, :, 0, 0]

    def _of_seeds(self, node: Node, k: int, seeds: dict[int, list[_Seed]]) -> list[ndarray]:
        """Return the imaginary parts of a node that moved elements of operand k hand on, (R, …) each."""
        operation, parent, found = node.operation, node.parents[k], []
        for seed in seeds[parent.index]:
            if isinstance(operation, Einsum) and _is_plain(operation) and k == 1 and not seed.by_sequence:
                found.append(_rank_one(node, seed))
            elif isinstance(operation, Gather) and operation.once and len(node.parents) == 1 and not seed.by_sequence:
                if (gathered := _gathered(operation, parent, seed)) is not None:
                    seeds.setdefault(node.index, []).append(gathered)
            else:
                found.append(self._push(node, k)(seed.dense(parent)))
        return found

    def _push(self, node: Node, k: int) -> Push:
        if (node.index, k) not in self._pushes:
            self._pushes[node.index, k] = _push(node, k)
        return self._pushes[node.index, k]


def _push(node: Node, k: int) -> Push:
    """Return the function by which operand k of a node hands imaginary parts on."""
    operation, values = node.operation, [each.value for each in node.parents]
    assert operation is not None
    if isinstance(operation, Carry):
        return lambda dot: dot
    if isinstance(operation, Einsum) and _is_plain(operation) and k == 0:
        W = values[1]
        return lambda dot: (dot.reshape(-1, len(W)) @ W).reshape(*dot.shape[:-1], -1)
    if not isinstance(operation, Elementwise):
        return lambda dot: operation.push(values, k, dot)
    n = node.ndim
    if operation.slope is None and SIGNS.get(operation.function, (0, 0))[k] == 1:
        return lambda dot: padded(dot, n)
    slope = operation.slope_by(values, k)
    return lambda dot: padded(dot, n) * slope


def _leading_to(nodes: Sequence[Node], ends: Mapping[int, ndarray]) -> list[Node]:
    """Return the operations that some end depends on, in their order."""
    needed, found = set(ends), []
    for node in reversed(nodes):
        if node.index in needed and node.operation is not None:
            found.append(node)
            needed.update(parent.index for parent in node.parents)
    return found[::-1]


def _is_plain(operation: Einsum) -> bool:
    """Return whether a sum of products is one of two matrices."""
    (first, *others), output = operation.inputs, operation.output
    if len(first) != 2 or len(others) != 1 or len(others[0]) != 2:
        return False
    return first[1] == others[0][0] and output == first[0] + others[0][1]


def _rank_one(node: Node, seed: _Seed) -> ndarray:
    """Return z (W + ih e_i e_jᵀ) − z W in units of h: column i of z in column j, for each direction (i, j)."""
    z, (_, columns) = node.parents[0].value, node.parents[1].shape
    found = np.zeros((int(seed.rows[-1]) + 1, *node.shape), node.dtype)  # (R, B, C)
    i, j = np.divmod(seed.positions, columns)
    found[seed.rows, :, j] = z[:, i].T
    return found


def _gathered(operation: Gather, parent: Node, seed: _Seed) -> _Seed | None:
    """Return the directions that a move of elements hands on, at the elements' new places; None if there are none."""
    there = np.full(parent.value.size, -1)
    there[operation.places.reshape(-1)] = np.arange(operation.places.size)
    positions = there[seed.positions]
    kept = positions >= 0
    return _Seed(seed.rows[kept], positions[kept], by_sequence=False) if kept.any() else None


def _sum(parts: Sequence[ndarray], shape: tuple[int, ...]) -> ndarray:
    """Return the sum of imaginary parts (R, …) of several operands, as many directions as the longest has."""
    first, *others = sorted(parts, key=len, reverse=True)
    if not others:
        return first if first.shape[1:] == shape else np.broadcast_to(first, (len(first), *shape))
    if len(others[0]) == len(first) and others[0].shape == (len(first), *shape):
        total = first + others.pop(0)
    else:
        total = np.empty((len(first), *shape), first.dtype)
        total[:] = first
    for part in others:
        total[: len(part)] += part
    return total
