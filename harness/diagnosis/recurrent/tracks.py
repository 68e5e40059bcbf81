"""A calculation on a tape as rules read it: the steps of each direction of each layer, and of the readout.

The gradient by the outputs begins the way back; the loss is left out, since its faults are no rules of a step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy import ndarray

from harness.derive import network
from harness.derive.network import NetworkArrays, loss_and_slopes
from harness.derive.recording import Graph, NetworkRecording, Recording, Sequences, Visit, answered
from harness.derive.stepping import Calculation
from harness.derive.tape import Node, Site

READOUT = "readout"
REVERSE = ".reverse"


@dataclass(frozen=True, eq=False)
class Upstream:
    """The gradient that a way back begins with.

    Attributes:
        outputs: by the outputs, (B, T, …).
        states: by the last states of a recurrence alone, (B, …) by name; none in a network.
    """

    outputs: ndarray
    states: Mapping[str, ndarray] = field(default_factory=dict)


class Track:
    """The steps of one direction of a layer, or of a readout, by their positions in the order in which they run.

    Args:
        graph: the calculation.
        block: the part of a network; empty for a recurrence alone.
        file: the file with its lines.
        valid: the (sequence, step) pairs that exist, (B, T) of bool.
        visits: the calls of the step, in their order; a window calls it anew for each of its losses.

    Attributes:
        valid: the pairs.
        first: the position at which each sequence begins, (B,).
        final: the position at which each sequence ends, (B,).
        weights: a node for each weight, by the name in the step.
        inputs: for each input a node for each step; for a context a single one.
        entering: for each step the node of each state that enters it.
        leaving: for each step the node of each state that leaves it.
        outputs: for each step the node of what leaves it for other parts, if there is one.
        by_site: for each place in the step its node at each position.
    """

    def __init__(self, graph: Graph, block: str, file: str, valid: ndarray, visits: list[Visit]) -> None:
        self.graph, self.block, self.file, self.steps = graph, block, file, valid.shape[1]
        there = valid[:, ::-1] if block.endswith(REVERSE) else valid  # (B, T) in the order of the steps
        self.first, self.final = there.argmax(1), self.steps - 1 - there[:, ::-1].argmax(1)  # (B,)
        self.valid, steps = valid, self.steps
        prefix = f"{block}." if block else ""
        own = {name.removeprefix(prefix): node for name, node in graph.sources.items() if name.startswith(prefix)}
        names = {name.removeprefix(prefix) for name in graph.shared if name.startswith(prefix)}
        self.weights = {name: node for name, node in own.items() if name in names and isinstance(node, Node)}
        self.entering: list[Mapping[str, Node]] = [{} for _ in range(steps)]
        self.leaving: list[Mapping[str, Node]] = [{} for _ in range(steps)]
        self.inputs: dict[str, list[Node]] = {}
        self.by_site: dict[Site, dict[int, Node]] = {}
        self._every: dict[tuple[Site, int], list[Node]] = {}
        masked = {
            node.parents[0].index: node
            for node in graph.tape.nodes
            if node.block == block
            and len(node.parents) == 2
            and not node.site.line
            and node.parents[1].operation is None
        }
        self.outputs = {self.position(each.t): masked.get(each.output.index, each.output) for each in visits}
        self._names = {node.index: name for name, node in own.items() if isinstance(node, Node)}
        for visit in visits:
            p = self.position(visit.t)
            self.entering[p], self.leaving[p] = visit.entering, visit.leaving
            for name, node in visit.inputs.items():
                self._names[node.index] = name
                self.inputs.setdefault(name, [node] * steps)[p] = node
        self.inputs = {
            name: nodes if len({each.index for each in nodes}) == steps else nodes[:1]
            for name, nodes in self.inputs.items()
        }
        for node in graph.tape.nodes:
            if node.block == block and node.operation is not None and (node.site.line or node.site.state):
                p = self.position(node.t)
                self.by_site.setdefault(node.site, {}).setdefault(p, node)
                self._every.setdefault((node.site, p), []).append(node)

    def give(self, name: str, nodes: list[Node]) -> None:
        """Name an input that the steps receive, a node for each step."""
        self.inputs[name] = nodes
        self._names |= {node.index: name for node in nodes}

    def position(self, t: int) -> int:
        """Return the position of a time step in the order in which the steps run."""
        return self.steps - 1 - t if self.block.endswith(REVERSE) else t

    def of(self, node: Node) -> int:
        """Return the position of a node's step."""
        return self.position(node.t)

    def own(self, node: Node) -> ndarray:
        """Return the position of a node's step in each sequence, (B,), from 0 to that of its last step."""
        return self.of(node) - self.first

    def picked(self, node: Node, positions: ndarray) -> ndarray:
        """Return the value that a node has at another position in each sequence, given the positions (B,)."""
        value = self.same_at(node, int(positions[0])).value
        if (positions == positions[0]).all() or value.shape[:1] != positions.shape:
            return value
        rows = [self.same_at(node, p).value[b] for b, p in enumerate(positions.tolist())]
        return np.stack(rows)

    def name(self, node: Node) -> str:
        """Return the name of a node that the step receives, in the step's words; empty for another."""
        return self._names.get(node.index) or node.name

    def is_given(self, node: Node) -> bool:
        """Return whether the step receives a node: it is no operation of its own."""
        return node.operation is None or node.index in self._names

    def is_moving(self, node: Node) -> bool:
        """Return whether a node has another value at each step."""
        return not self.is_given(node) or len(self.inputs.get(self.name(node), ())) == self.steps

    def same_at(self, node: Node, p: int, near: Node | None = None) -> Node:
        """Return what a node is at a position, in the run of another node; the node itself if it is always the same."""
        if self.is_given(node):
            at = self.inputs.get(self.name(node), ())
            return at[p] if len(at) == self.steps else node
        there = self._every.get((node.site, p), [node])
        index = node.index if near is None else near.index
        return there[0] if len(there) == 1 else min(there, key=lambda each: abs(each.index - index))

    @property
    def last(self) -> Mapping[str, Node]:
        """The node of each last state."""
        return self.leaving[-1]


@dataclass(frozen=True, eq=False)
class Taped:
    """A calculation on a tape.

    Attributes:
        graph: the nodes.
        answers: ``loss``, ``outputs`` (B, T, …) and, of a recurrence alone, the last states.
        tracks: its parts, layer by layer.
        upstream: the gradient that the way back begins with.
    """

    graph: Graph
    answers: Mapping[str, ndarray]
    tracks: tuple[Track, ...]
    upstream: Upstream

    @property
    def steps(self) -> int:
        """T, the number of steps."""
        return len(self.graph.outputs)

    @property
    def runs_once(self) -> bool:
        """Return whether each step is run once, one layer after the other: no window, no chunks."""
        order = [each.block for each in self.graph.visits]
        return len(self.graph.visits) == self.steps * len(set(order)) and order == sorted(order, key=order.index)

    @property
    def is_one_way(self) -> bool:
        """Return whether all layers run once, from the first step to the last."""
        once = {(each.block, each.t) for each in self.graph.visits}
        return len(once) == len(self.graph.visits) and not any(each.block.endswith(REVERSE) for each in self.tracks)

    @cached_property
    def size(self) -> int:
        """The numbers of all nodes, which a pass has."""
        return sum(node.value.size for node in self.graph.tape.nodes)

    def ends(self, upstream: Upstream | None = None) -> list[tuple[Node, ndarray]]:
        """Return the nodes that the way back begins with, each with the gradient by it."""
        upstream = upstream or self.upstream
        ends = [(node, upstream.outputs[:, t]) for t, node in enumerate(self.graph.outputs)]
        return ends + [(self.tracks[0].last[name], g) for name, g in upstream.states.items()]


def taped(problem: Calculation) -> Taped:
    """Run a recurrence, or a network of one, on a tape."""
    if isinstance(problem, Sequences):
        alone = Recording(problem)
        upstream = Upstream(problem.upstream, problem.upstream_state)
        tracks = _tracks(alone, problem, np.ones(problem.upstream.shape[:2], np.bool_))
        return Taped(alone, answered(alone, problem), tracks, upstream)
    assert isinstance(problem, NetworkArrays)
    graph = NetworkRecording(problem)
    loss, slopes = loss_and_slopes(problem, graph.value)
    tracks = _tracks(
        graph, problem, np.ones(problem.covered.shape, np.bool_) if problem.valid is None else problem.valid
    )
    if f"{READOUT}.W_hy" in graph.sources:
        tracks = (*tracks, _readout(graph, tracks[0].valid))
    return Taped(graph, {"loss": np.asarray(loss), "outputs": graph.value}, tracks, Upstream(slopes))


def _tracks(graph: Graph, problem: Calculation, valid: ndarray) -> tuple[Track, ...]:
    """Return the steps of each direction of each layer."""
    visits: dict[str, list[Visit]] = {}
    for each in graph.visits:
        visits.setdefault(each.block, []).append(each)
    return tuple(Track(graph, block, problem.cell_step.file, valid, each) for block, each in visits.items())


def _readout(graph: Graph, valid: ndarray) -> Track:
    """Return the steps of a readout, h W + b at each, without what masks them."""
    found = Track(graph, READOUT, network.__file__, valid, [])

    def masks(at: Mapping[int, Node]) -> bool:
        operation = next(iter(at.values())).operation
        return operation is not None and operation.name == "where"

    found.by_site = {site: at for site, at in found.by_site.items() if not masks(at)}
    product = next(iter(found.by_site.values()))  # h W
    found.give("h", [product.get(p, product[min(product)]).parents[0] for p in range(found.steps)])
    return found


def zeros_like(states: Mapping[str, ndarray]) -> dict[str, ndarray]:
    """Return zeros for each state."""
    return {name: np.zeros_like(each) for name, each in states.items()}
