"""A recurrence's step over a sequence, in any namespace: one loop over time for every recurrence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from typing import Any, NamedTuple, NoReturn, Protocol, Self

from harness.casefile import listed, nearest
from harness.derive.namespaces import Namespace, OutsideNamespaceError
from harness.recurrences.base import Recurrence


class StepError(Exception):
    """A step does something that a step may not; the text has the mistake and its line."""


class Span(NamedTuple):
    """Some steps of a part of a network.

    Attributes:
        block: the part: ``layer0``, ``layer0.reverse``, ``readout``, ``loss``; empty for a recurrence alone.
        first: the first step.
        last: the step after the last one.
    """

    block: str
    first: int
    last: int

    @property
    def steps(self) -> range:
        """The steps in the order in which they run; from the last to the first in a direction called ``reverse``."""
        steps = range(self.first, self.last)
        return steps[::-1] if self.block.endswith(".reverse") else steps


class Loop:
    """A loop over time, in Python; a framework with a loop of its own overrides it.

    A sequence is a list with an array (B, …) for each step. A framework may have another form of it, which must support
    ``sequence[t]`` and ``sequence[first:last]``.

    Args:
        xp: the namespace.
        array: a function from a NumPy array to a constant of the framework.
    """

    def __init__(self, xp: Namespace, array: Callable[[Any], Any] = lambda array: array) -> None:
        self.xp, self.array = xp, array

    def with_activation(self, name: str) -> Self:
        """Return the loop with the function ``name`` as its namespace's activation."""
        found = copy(self)
        found.xp = self.xp.with_activation(name)
        return found

    def over(self, array: Any) -> Any:
        """Return the sequence of an array (B, T, …)."""
        return [array[:, t] for t in range(array.shape[1])]

    def constants(self, array: Any) -> Any:
        """Return the sequence of a NumPy array (B, T, …), through which no gradient passes."""
        return [self.array(array[:, t]) for t in range(array.shape[1])]

    def masks(self, mask: Any) -> Any:
        """Return the sequence of a mask (B, T): None for a step of all sequences, False for a step of none."""
        of_steps = [mask[:, t] for t in range(mask.shape[1])]
        return [None if each.all() else self.array(each) if each.any() else False for each in of_steps]

    def whole(self, sequence: Any) -> Any:
        """Return the array (B, T, …) of a sequence."""
        return self.xp.stack(sequence, 1)

    def joined(self, sequences: Sequence[Any]) -> Any:
        """Return the sequence of all steps of sequences, one after another."""
        return [each for sequence in sequences for each in sequence]

    def scan(self, body: Callable[[Any, Any, Any], Any], state: Any, given: tuple[Any, Any], span: Span) -> Any:
        """Run a step after another, each from the state that the one before it leaves.

        Args:
            body: a function from the inputs of a step, its mask and the state to the state after it and an output.
            state: the state before the first step.
            given: a sequence for each input, by name, and one of masks or None.
            span: the steps.

        Returns:
            The state after the last step, and the sequence of outputs.
        """
        sequences, masks = given
        outputs: list[Any] = [None] * len(span.steps)
        for t in span.steps:
            n = t - span.first
            state = self.entered(state, span.block, t)
            x = {name: sequence[n] for name, sequence in sequences.items()}
            state, outputs[n] = body(x, None if masks is None else masks[n], state)
        return state, outputs

    def map(self, body: Callable[..., Any], sequences: Sequence[Any], span: Span) -> Any:
        """Return the sequence of a function of the items of each step, which works on the last axes alone."""
        found = []
        for n, t in enumerate(span.steps):
            self.entered({}, span.block, t)
            found.append(body(*(sequence[n] for sequence in sequences)))
        return found

    def total(self, sequence: Any, span: Span) -> Any:
        """Return the sum of a sequence over its steps; None counts as zero."""
        total: dict[str, Any] = {}
        for n, t in enumerate(span.steps):
            if sequence[n] is not None:
                before = self.entered(total, span.block, t)
                total = {"total": before["total"] + sequence[n] if before else sequence[n]}
        return total["total"]

    def entered(self, state: dict[str, Any], block: str, t: int) -> dict[str, Any]:
        """Return the state that a step of a block receives, at the beginning of the step."""
        del block, t
        return state

    def left(self, recurrence: Recurrence, x: Mapping[str, Any], after: Mapping[str, Any], output: Any) -> None:
        """Examine the state and the output that a step with the inputs ``x`` returned."""

    def constant(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Return a state with the same numbers, through which no gradient passes."""
        return {name: self.xp.stop(each) for name, each in state.items()}


class Calculation(Protocol):
    """A loss of arrays that have names, which any namespace can compute."""

    @property
    def cell_step(self) -> Recurrence:
        """The recurrence, of every layer if there are any."""

    @property
    def constant(self) -> frozenset[str]:
        """The arrays without a gradient, by the name that it would have."""

    @property
    def first_step(self) -> Calculation:
        """The same on the first step alone, to learn what a step costs."""

    @property
    def runs(self) -> int:
        """The number of steps that are run; a truncation may run some of them anew for each loss."""

    def mapped(self, change: Callable[[str, Any], Any]) -> Self:
        """Return the same with every array changed, by the name of its gradient."""

    def answers(self, loop: Loop) -> dict[str, Any]:
        """Return ``loss``, ``outputs`` (B, T, …) and, of a recurrence, the last states ``last.NAME`` (B, …)."""


class Fixed(NamedTuple):
    """The arrays that a step receives at every step of a sequence: weights, and context (B, …), by name."""

    weights: Mapping[str, Any]
    context: Mapping[str, Any]


def direction(
    loop: Loop, recurrence: Recurrence, fixed: Fixed, state: Mapping[str, Any], given: tuple[Any, Any], span: Span
) -> Any:
    """Run a recurrence over a span, in one direction.

    Args:
        loop: the loop.
        recurrence: the recurrence.
        fixed: the arrays that all steps share.
        state: the state before the first step, (B, …) by name.
        given: a sequence for each input by name, and a sequence of masks, (B,) each, or None. Where a mask is false,
            the state stays and the output is zero.
        span: the steps.

    Returns:
        The state after the last step, and the sequence of outputs.
    """

    def body(x: Mapping[str, Any], there: Any, before: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
        inputs = {**x, **fixed.context}
        after, output = stepped(recurrence, loop.xp, fixed.weights, inputs, before)
        loop.left(recurrence, inputs, after, output)
        if there is None:
            return dict(after), output
        if there is False:
            return dict(before), loop.xp.zeros_like(output)
        kept = {name: chosen(loop.xp, there, each, before[name]) for name, each in after.items()}
        return kept, chosen(loop.xp, there, output, 0.0)

    return loop.scan(body, dict(state), given, span)


def chosen(xp: Namespace, there: Any, array: Any, other: Any) -> Any:
    """Return ``array`` (B, …) for the sequences that a mask (B,) has, and ``other`` for the rest."""
    return xp.where(there[(slice(None), *(None,) * (len(array.shape) - 1))], array, other)


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
        meant = name if name in self or name in self._optional else next(iter(self), name)
        wrong = f"{self._letter}.{name} is no attribute" if meant == name else f"{self._letter} is no array"
        by_name = f"{self._letter} has the {self._called} by name"
        raise OutsideNamespaceError(f"{wrong}: {by_name}; write {self._letter}[{meant!r}]")


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
        if not (_raised_by(error, recurrence) or isinstance(error, RecursionError)):
            raise
        text = f"{type(error).__name__}: {error}".removesuffix(": ")
        if "Node" in text:
            text = f"{text.replace('Node', 'an array of a step')}; use xp, operators and slices, which every route has"
        raise StepError(f"{recurrence.name}, {_line_of(error, recurrence)}: {text}") from error
    if not (isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[0], Mapping)):
        called = "one array" if hasattr(returned, "shape") else f"a {type(returned).__name__}"
        mistake(recurrence, f"a step returned {called}, but should return (state, output), the states by name")
    after, output = returned
    for name in recurrence.state:
        if name not in after:
            there = f"it returned {listed(after)}" if after else "it returned none"
            mistake(recurrence, f"a step returned no state {name!r}; {there}; return it, or remove its declaration")
    for name in after:
        if name not in recurrence.state:
            hint = nearest(name, recurrence.state) or f"there are {listed(recurrence.state)}"
            mistake(recurrence, f"a step returned a state {name!r}, which is not declared; {hint}")
    return after, output


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


def mistake(recurrence: Recurrence, text: str, line: int = 0) -> NoReturn:
    """Raise a StepError with the line of a mistake; the step's return if the line is not known."""
    line = line or max(number for _, _, number in recurrence.step.__code__.co_lines() if number)  # the return
    raise StepError(f"{recurrence.name}, line {line} of {recurrence.file}: {text}")
