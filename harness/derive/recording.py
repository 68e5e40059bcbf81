"""A recording: a recurrence or a network run once on a tape, step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from harness.derive import network
from harness.derive.namespaces.numpy import xp
from harness.derive.network import NetworkArrays, losses_of, outputs_of
from harness.derive.stepping import Calculation, Fixed, Loop, Span, direction, mistake
from harness.derive.tape import Condition, Node, Perturbation, Tape
from harness.recurrences.base import Recurrence


@dataclass(frozen=True, eq=False)
class Sequences:
    """The arrays that a recurrence runs on, and the upstream gradients. B is the batch, T the time.

    Attributes:
        recurrence: the recurrence.
        weights: by name; an optional one may be absent.
        inputs: (B, T, …) by name, and (B, …) for the context; an optional one may be absent.
        initial_state: (B, …) by name.
        upstream: the gradient of the loss by the outputs, (B, T, …).
        upstream_state: the gradient of the loss by the last states, (B, …) by name.
        absent: the states that are zeros because no initial state is given.
    """

    recurrence: Recurrence
    weights: Mapping[str, Any]
    inputs: Mapping[str, Any]
    initial_state: Mapping[str, Any]
    upstream: ndarray
    upstream_state: Mapping[str, ndarray]
    absent: frozenset[str] = frozenset()

    @property
    def cell_step(self) -> Recurrence:
        """The recurrence."""
        return self.recurrence

    @property
    def constant(self) -> frozenset[str]:
        """The arrays without a gradient, by the name that it would have."""
        return frozenset([*(f"{name}0" for name in self.absent), *(f"inputs.{name}" for name in self.recurrence.held)])

    @property
    def steps(self) -> int:
        """T, the number of steps."""
        return int(next(self.inputs[name].shape[1] for name in self.moving))

    @property
    def moving(self) -> list[str]:
        """The inputs of each step that are there."""
        return [name for name in self.recurrence.inputs if name in self.inputs]

    @property
    def context(self) -> dict[str, Any]:
        """The inputs that all steps share, (B, …) by name."""
        return {name: self.inputs[name] for name in self.recurrence.context if name in self.inputs}

    @property
    def first_step(self) -> Sequences:
        """The same on the first step alone."""
        first = {name: self.inputs[name][:, :1] for name in self.moving}
        return replace(self, inputs={**self.inputs, **first}, upstream=self.upstream[:, :1])

    @property
    def runs(self) -> int:
        """T, since every step is run once."""
        return self.steps

    def mapped(self, change: Callable[[str, Any], Any]) -> Sequences:
        """Return the same with every array that goes into the step changed, by the name of its gradient."""
        return replace(
            self,
            weights={name: change(name, array) for name, array in self.weights.items()},
            inputs={name: change(f"inputs.{name}", array) for name, array in self.inputs.items()},
            initial_state={name: change(f"{name}0", array) for name, array in self.initial_state.items()},
        )

    def forward(self, loop: Loop) -> tuple[Any, dict[str, Any]]:
        """Run the step itself, and return the sequence of outputs and the last states."""
        fixed = Fixed(self.weights, self.context)
        given = {name: loop.over(self.inputs[name]) for name in self.moving}
        span = Span("", 0, self.steps)
        last, outputs = direction(loop, self.recurrence, fixed, self.initial_state, (given, None), span)
        return outputs, last

    def answers(self, loop: Loop) -> dict[str, Any]:
        """Return ``loss``, ``outputs`` (B, T, …) and the last states ``last.NAME`` (B, …), in the loop's namespace."""
        sequence, last = self.forward(loop)
        outputs, xp = loop.whole(sequence), loop.xp
        loss = xp.sum(outputs * loop.array(self.upstream))
        for name, g in self.upstream_state.items():
            loss = loss + xp.sum(last[name] * loop.array(g))
        return {"loss": loss, "outputs": outputs, **{f"last.{name}": state for name, state in last.items()}}


class Visit(NamedTuple):
    """One call of a step.

    Attributes:
        block: the part of a network; empty for a recurrence alone.
        t: the time step.
        inputs: the node of each input and context.
        entering: the node of each state that enters.
        leaving: the node of each state that leaves.
        output: the node of the output, (B, …).
    """

    block: str
    t: int
    inputs: Mapping[str, Node]
    entering: Mapping[str, Node]
    leaving: Mapping[str, Node]
    output: Node


class TapeLoop(Loop):
    """A loop over time whose steps are recorded.

    Attributes:
        visits: the calls of the step, in their order.
    """

    def __init__(self, tape: Tape) -> None:
        super().__init__(xp)
        self.visits: list[Visit] = []
        self._tape, self._entering = tape, dict[str, Node]()

    def constants(self, array: ndarray) -> list[Any]:
        """Return a node or condition for each step of an array (B, T, …), through which no gradient passes."""
        found: list[Any] = []
        for t in range(array.shape[1]):
            self._tape.at(t)
            of_step = array[:, t]
            found.append(Condition(self._tape, of_step) if array.dtype.kind == "b" else self._tape.constant(of_step))
        return found

    def masks(self, mask: ndarray) -> list[Any]:
        """Return the sequence of a mask (B, T): None for a step of all sequences, False for a step of none."""
        return [each if each is None or each is False else Condition(self._tape, each) for each in super().masks(mask)]

    def entered(self, state: dict[str, Node], block: str, t: int) -> dict[str, Node]:
        """Carry a state to the beginning of a step."""
        self._tape.at(t, block, network.__file__ if block in network.OUTER else "")
        self._entering = {name: self._tape.carried(node, name) for name, node in state.items()}
        return self._entering

    def left(self, recurrence: Recurrence, x: Mapping[str, Node], after: Mapping[str, Any], output: Any) -> None:
        """Record the call of a step.

        Raises:
            StepError: if a state or the output is no node of this step, or has another shape than declared.
        """
        leaving = {name: self._node(after[name], f"state {name!r}", recurrence) for name in recurrence.state}
        for name, node in leaving.items():
            if node.shape != (before := self._entering[name].shape):
                text = f"state {name!r} has shape {node.shape} after a step, but {before} before"
                mistake(recurrence, text, node.site.line)
        returned = self._node(output, "the output", recurrence)
        batch = next(iter(x.values())).shape[:1]
        if returned.shape[:1] != batch:
            text = f"the output has shape {returned.shape}, but should begin with the batch, {batch[0]}"
            mistake(recurrence, text, returned.site.line)
        self.visits.append(Visit(self._tape.block, self._tape.t, x, self._entering, leaving, returned))

    def constant(self, state: Mapping[str, Node]) -> dict[str, Node]:
        """Return a state with the same numbers, through which no gradient passes."""
        self._tape.deviates = True
        return {name: self._tape.constant(node.value) for name, node in state.items()}

    def _node(self, returned: Any, called: str, recurrence: Recurrence) -> Node:
        if not isinstance(returned, Node):
            kind = "None" if returned is None else f"of type {type(returned).__name__}"
            mistake(recurrence, f"{called} is {kind}, but should be an array computed from the step's arguments")
        if self._tape.is_kept(returned):
            mistake(recurrence, f"{called} is an array of an earlier call; declare it as a state")
        return returned


class Graph:
    """A calculation on a tape, and the arrays that it began with.

    Attributes:
        tape: the tape.
        sources: for the name of each gradient its node, or its nodes of each step, (B, …) each.
        shared: the names of arrays whose elements all sequences share.
        visits: the calls of the step, in their order.
        outputs: for each step the node of its output, (B, …).
    """

    tape: Tape
    sources: dict[str, Node | list[Node]]
    shared: frozenset[str]
    visits: list[Visit]
    outputs: list[Node]

    @property
    def value(self) -> ndarray:
        """The outputs, (B, T, …)."""
        return np.stack([node.value for node in self.outputs], 1)


class Recording(Graph):
    """A recurrence's sequence on a tape.

    Attributes:
        weights: a node for each weight.
        initial_state: a node for each state before the first step.
        inputs: for each input a node for each step; for a context a single one.
        entering: for each step the node of each state that enters it.
        leaving: for each step the node of each state that leaves it.
    """

    def __init__(self, problem: Sequences, perturbed: Perturbation | None = None, of: type[Tape] = Tape) -> None:
        recurrence = problem.recurrence
        dtype = next(iter(problem.inputs.values())).dtype
        self.tape = tape = of(recurrence.file, dtype, perturbed)
        self.weights = {
            name: tape.leaf(problem.weights[name], name) for name in recurrence.weights if name in problem.weights
        }
        self.initial_state = {
            name: tape.leaf(problem.initial_state[name], f"{name}0")
            for name in recurrence.state
            if name not in problem.absent
        }
        state = self.initial_state | {name: tape.constant(problem.initial_state[name]) for name in problem.absent}
        held = recurrence.held
        context = {name: tape.leaf(array, name, exact=name in held) for name, array in problem.context.items()}
        tape.share()
        moving = {name: leaves(tape, problem.inputs[name], name, exact=name in held) for name in problem.moving}
        self.inputs: dict[str, list[Node]] = {**{name: [node] for name, node in context.items()}, **moving}
        sources: dict[str, Node | list[Node]] = {**self.weights}
        sources |= {f"{name}0": node for name, node in self.initial_state.items()}
        sources |= {f"inputs.{name}": node for name, node in context.items()}
        sources |= {f"inputs.{name}": nodes for name, nodes in moving.items()}
        self.sources = {name: source for name, source in sources.items() if name not in problem.constant}
        self.shared = frozenset(self.weights)
        loop, span = TapeLoop(tape), Span("", 0, problem.steps)
        _, self.outputs = direction(loop, recurrence, Fixed(self.weights, context), state, (moving, None), span)
        self.visits = loop.visits
        self.entering = [visit.entering for visit in loop.visits]
        self.leaving = [visit.leaving for visit in loop.visits]

    @property
    def last(self) -> Mapping[str, Node]:
        """The node of each last state."""
        return self.leaving[-1]

    def ends(self, problem: Sequences) -> list[tuple[Node, ndarray]]:
        """Return the nodes that a problem's loss reads, each with the gradient of the loss by it."""
        ends = [(node, problem.upstream[:, t]) for t, node in enumerate(self.outputs)]
        return ends + [(node, problem.upstream_state[name]) for name, node in self.last.items()]


class NetworkRecording(Graph):
    """A network on a tape, with its readout, and with its loss once that is asked for."""

    def __init__(self, arrays: NetworkArrays, perturbed: Perturbation | None = None, of: type[Tape] = Tape) -> None:
        moving, constant = arrays.moving, arrays.constant
        self.tape = tape = of(arrays.network.step.file, next(iter(arrays.leaves.values())).dtype, perturbed)
        nodes: dict[str, Node | list[Node]] = {
            name: tape.constant(array) if name in constant else tape.leaf(array, name)
            for name, array in arrays.leaves.items()
            if name not in moving
        }
        self.shared = frozenset(arrays.network.structure.weights)
        tape.share()
        nodes |= {
            name: leaves(tape, array, name, exact=name in constant)
            for name, array in arrays.leaves.items()
            if name in moving
        }
        self.sources = {name: each for name, each in nodes.items() if name not in constant}
        loop = TapeLoop(tape).with_activation(arrays.network.activation)
        self.outputs = outputs_of(loop, arrays.network, nodes, arrays.valid)
        self.visits = loop.visits
        self._loop, self._arrays = loop, arrays

    @cached_property
    def losses(self) -> Node:
        """The node of each sequence's part of the loss, (B,)."""
        found: Node = losses_of(self._loop, self._arrays, self.outputs)
        return found

    @property
    def ends(self) -> list[tuple[Node, ndarray]]:
        """The node of the loss, with ones."""
        return [(self.losses, np.ones_like(self.losses.value))]

    @property
    def answers(self) -> dict[str, ndarray]:
        """The loss, of shape (), and the outputs, (B, T, …)."""
        return {"loss": np.asarray(self.losses.value.sum()), "outputs": self.value}


class Recorded(NamedTuple):
    """A calculation on a tape, and the numbers that it came to.

    Attributes:
        graph: the calculation.
        answers: ``loss``, ``outputs`` (B, T, …) and, of a recurrence, the last states ``last.NAME`` (B, …).
        ends: the nodes that the loss reads, each with the gradient of the loss by it.
    """

    graph: Graph
    answers: dict[str, ndarray]
    ends: list[tuple[Node, ndarray]]


def recorded(problem: Calculation, perturbed: Perturbation | None = None, of: type[Tape] = Tape) -> Recorded:
    """Run a recurrence or a network on a tape.

    Args:
        problem: the arrays.
        perturbed: the change of each value, to measure rounding noise; None for none.
        of: the class of the tape.
    """
    if isinstance(problem, Sequences):
        recording = Recording(problem, perturbed, of)
        return Recorded(recording, answered(recording, problem), recording.ends(problem))
    assert isinstance(problem, NetworkArrays)
    network = NetworkRecording(problem, perturbed, of)
    return Recorded(network, network.answers, network.ends)


def answered(recording: Recording, problem: Sequences) -> dict[str, ndarray]:
    """Return the loss, the outputs (B, T, …) and the last states ``last.NAME`` (B, …) of a recording."""
    outputs = recording.value
    last = {name: node.value for name, node in recording.last.items()}
    loss = (outputs * problem.upstream).sum()
    loss = loss + sum((value * problem.upstream_state[name]).sum() for name, value in last.items())
    return {"loss": np.asarray(loss), "outputs": outputs, **{f"last.{name}": value for name, value in last.items()}}


def leaves(tape: Tape, array: ndarray, name: str, *, exact: bool = False) -> list[Node]:
    """Return a node for each step of an array (B, T, …), which a perturbation leaves as it is if it is exact."""
    found = []
    for t in range(array.shape[1]):
        tape.at(t)
        found.append(tape.leaf(array[:, t], name, exact=exact))
    return found
