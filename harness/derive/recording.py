"""A recording: a sequence run once on a tape, step by step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
from numpy import ndarray

from harness.casefile import listed, nearest
from harness.derive.namespaces import OutsideNamespaceError
from harness.derive.namespaces.numpy import xp
from harness.derive.tape import Node, Perturbation, Tape
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

    def mapped(self, change: Callable[[str, Any], Any]) -> Sequences:
        """Return the same with every array that goes into the step changed, by the name of its gradient."""
        return replace(
            self,
            weights={name: change(name, array) for name, array in self.weights.items()},
            inputs={name: change(f"inputs.{name}", array) for name, array in self.inputs.items()},
            initial_state={name: change(f"{name}0", array) for name, array in self.initial_state.items()},
        )


class StepError(Exception):
    """A step does something that a step may not; the text has the mistake and its line."""


class Recording:
    """A sequence on a tape.

    Attributes:
        tape: the tape.
        weights: a node for each weight.
        initial_state: a node for each state before the first step that is given.
        inputs: for each input a node for each step; for a context a single one.
        entering: for each step the node of each state that enters it.
        leaving: for each step the node of each state that leaves it.
        outputs: for each step the node of its output, (B, …).
    """

    def __init__(self, problem: Sequences, perturbed: Perturbation | None = None, of: type[Tape] = Tape) -> None:
        recurrence = problem.recurrence
        dtype = next(iter(problem.inputs.values())).dtype
        self.tape = tape = of(recurrence.file, dtype, perturbed)
        weights = self.weights = {
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
        self.inputs: dict[str, list[Node]] = {name: [node] for name, node in context.items()}
        self.entering: list[dict[str, Node]] = []
        self.leaving: list[dict[str, Node]] = []
        self.outputs: list[Node] = []
        for t in range(problem.steps):
            tape.at(t)
            given = {name: tape.leaf(problem.inputs[name][:, t], name, exact=name in held) for name in problem.moving}
            for name, node in given.items():
                self.inputs.setdefault(name, []).append(node)
            state = {name: tape.carried(node, name) for name, node in state.items()}
            self.entering.append(state)
            after, output = stepped(recurrence, xp, weights, {**given, **context}, state)
            state = {name: _node(tape, after[name], f"state {name!r}", recurrence) for name in recurrence.state}
            for name, node in state.items():
                if node.shape != self.entering[t][name].shape:
                    before = self.entering[t][name].shape
                    text = f"state {name!r} has shape {node.shape} after a step, but {before} before"
                    _mistake(recurrence, text, node.site.line)
            self.leaving.append(dict(state))
            self.outputs.append(_node(tape, output, "the output", recurrence))
            if (shape := self.outputs[t].shape)[:1] != problem.upstream.shape[:1]:
                text = f"the output has shape {shape}, but should begin with the batch, {problem.upstream.shape[0]}"
                _mistake(recurrence, text, self.outputs[t].site.line)

    @property
    def value(self) -> ndarray:
        """The outputs, (B, T, …)."""
        return np.stack([node.value for node in self.outputs], 1)

    @property
    def last(self) -> dict[str, Node]:
        """The node of each last state."""
        return self.leaving[-1]


def forward(problem: Sequences, namespace: Any = xp) -> tuple[list[Any], dict[str, Any]]:
    """Run the step itself over the sequence, on the arrays of a namespace.

    Returns:
        The output of each step, (B, …) each, and the last states.
    """
    recurrence = problem.recurrence
    state, outputs = dict(problem.initial_state), []
    for t in range(problem.steps):
        given = {name: problem.inputs[name][:, t] for name in problem.moving}
        after, output = stepped(recurrence, namespace, problem.weights, {**given, **problem.context}, state)
        state = dict(after)
        outputs.append(output)
    return outputs, state


class _Given(dict[str, Any]):
    """The weights, inputs or states of a step, by name; None for an absent one, and another name is refused."""

    def __init__(self, arrays: Mapping[str, Any], letter: str, called: str, optional: Collection[str] = ()) -> None:
        super().__init__(arrays)
        self._letter, self._called, self._optional = letter, called, optional

    def __missing__(self, name: object) -> None:
        if name in self._optional:
            return
        there = nearest(str(name), self) or (f"there are {listed(self)}" if self else "there are none")
        raise OutsideNamespaceError(
            f"{self._letter}[{name!r}] is not declared among the {self._called}; {there}; declare it, or rename it"
        )

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # Python looks for such attributes
            raise AttributeError(name)
        raise OutsideNamespaceError(f"{self._letter}.{name} is no attribute; write {self._letter}[{name!r}]")


def stepped(recurrence: Recurrence, namespace: Any, weights: Any, inputs: Any, state: Any) -> tuple[Any, Any]:
    """Call the step; return its state and output, if the state has the declared names.

    Raises:
        StepError: if it does not, if no route can follow the step's use of arrays, or if the step fails by itself.
    """
    optional = frozenset(recurrence.optional)
    given = (
        _Given(weights, "w", "weights", recurrence.weights.keys() & optional),
        _Given(inputs, "x", "inputs", (recurrence.inputs.keys() | recurrence.context.keys()) & optional),
        _Given(state, "s", "state"),
    )
    try:
        returned: Any = recurrence.step(namespace, *given)
    except OutsideNamespaceError as error:
        raise StepError(f"{recurrence.name}, {_line_of(error, recurrence)}: {error}") from error
    except Exception as error:
        if not _raised_by(error, recurrence):
            raise
        text = f"{type(error).__name__}: {error}"
        raise StepError(f"{recurrence.name}, {_line_of(error, recurrence)}: {text}") from error
    if not (isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[0], Mapping)):
        called = "one array" if isinstance(returned, Node) else f"a {type(returned).__name__}"
        _mistake(recurrence, f"a step returned {called}, but should return (state, output), the states by name")
    after, output = returned
    for name in recurrence.state:
        if name not in after:
            there = f"it returned {listed(after)}" if after else "it returned none"
            _mistake(recurrence, f"a step returned no state {name!r}; {there}; return it, or remove its declaration")
    for name in after:
        if name not in recurrence.state:
            hint = nearest(name, recurrence.state) or f"there are {listed(recurrence.state)}"
            _mistake(recurrence, f"a step returned a state {name!r}, which is not declared; {hint}")
    return after, output


def _node(tape: Tape, returned: Any, called: str, recurrence: Recurrence) -> Node:
    if not isinstance(returned, Node):
        kind = "None" if returned is None else f"of type {type(returned).__name__}"
        _mistake(recurrence, f"{called} is {kind}, but should be an array computed from the step's arguments")
    if tape.is_kept(returned):
        _mistake(recurrence, f"{called} is an array of an earlier call; declare it as a state")
    return returned


def _raised_by(error: BaseException, recurrence: Recurrence) -> bool:
    """Return whether the innermost line that an error went through is in the step's file."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and traceback.tb_frame.f_code.co_filename == recurrence.file


def _line_of(error: BaseException, recurrence: Recurrence) -> str:
    """Return the innermost line of the step's file that an error went through."""
    line, traceback = 0, error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == recurrence.file:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return f"line {line} of {recurrence.file}" if line else recurrence.file


def _mistake(recurrence: Recurrence, text: str, line: int = 0) -> NoReturn:
    line = line or max(number for _, _, number in recurrence.step.__code__.co_lines() if number)  # the return
    raise StepError(f"{recurrence.name}, line {line} of {recurrence.file}: {text}")
