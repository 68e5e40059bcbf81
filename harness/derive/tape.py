"""A tape: the operations of a step in order, each with its line of the step's file and its time step.

A step runs once on the tape, with a node in place of each array. A node supports ``xp`` and the operators of arrays,
and refuses everything else by name, so that everything that follows from a tape follows from the step alone.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy import ndarray
from numpy.lib.mixins import NDArrayOperatorsMixin

from harness.derive.namespaces import NAMES, OutsideNamespaceError
from harness.derive.operations import Carry, Einsum, Elementwise, Gather, Operation, Sum

OPERATORS: dict[np.ufunc, Callable[..., ndarray]] = {
    np.add: np.add,
    np.subtract: np.subtract,
    np.multiply: np.multiply,
    np.divide: np.divide,
    np.negative: np.negative,
    np.positive: np.positive,
}
"""The operators of arrays that are elementwise and smooth."""

COMPARISONS = (np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal)

Perturbation = Callable[[ndarray, Operation | None, Sequence[ndarray]], ndarray]
"""A function from a value, the operation that made it (None for an argument of the step) and the operands to the value
after one more rounding."""


@dataclass(frozen=True, slots=True)
class Site:
    """The place of an operation in a step.

    Attributes:
        line: of the step's file; 0 for an operation outside of it.
        nth: the number of earlier operations of the same line, in one call of the step.
        state: the name of the state, of a carry; empty for other operations.
    """

    line: int
    nth: int
    state: str = ""


class Tape:
    """The nodes of a recording, in order.

    Args:
        file: the file of the step, with the lines of all sites.
        dtype: the dtype of every number.
        perturbed: the change of each value, to measure rounding noise; None for none.

    Attributes:
        file: the file whose lines are recorded: the step's, or that of the part of a network around it.
        nodes: the nodes.
        t: the time step.
        block: the part of a network, such as ``layer0.reverse``; empty for a recurrence alone.
        deviates: whether the step declares a backward pass that is not the derivative.
    """

    def __init__(self, file: str, dtype: np.dtype[Any], perturbed: Perturbation | None = None) -> None:
        self.nodes: list[Node] = []
        self.t, self.block = 0, ""
        self.deviates = False
        self._shared = 0
        self.file = self._of_step = file
        self._dtype, self._perturbed = dtype, perturbed
        self._seen: dict[int, int] = {}
        self._places: dict[tuple[object, ...], tuple[ndarray, bool]] = {}

    def share(self) -> None:
        """Let all nodes up to now be used at every step."""
        self._shared = len(self.nodes)

    def at(self, t: int, block: str = "", file: str = "") -> None:
        """Begin time step t of a part of a network, whose lines stand in ``file``; in the step's file unless given."""
        self.t, self.block, self._seen, self.file = t, block, {}, file or self._of_step

    def is_kept(self, node: Node) -> bool:
        """Return whether an array was kept from an earlier call of the step."""
        return node.tape is not self or (node.t != self.t and node.index >= self._shared)

    def leaf(self, value: ndarray, name: str, *, exact: bool = False) -> Node:
        """Return a node for an argument of the step; an exact one, such as a mask, has no rounding."""
        given = np.asarray(value) if exact else self._rounded(value, None, ())
        return Node(self, given, None, (), Site(0, 0), name)

    def constant(self, value: ndarray) -> Node:
        """Return a node for an array that no gradient goes through."""
        return Node(self, np.asarray(value, self._dtype), None, (), Site(0, 0), "")

    def carried(self, node: Node, state: str) -> Node:
        """Return a node for a state that the next step receives."""
        carry = Carry()
        value = self._rounded(node.value, carry, (node.value,))
        return Node(self, value, carry, (node,), Site(0, 0, state), state)

    def elementwise(self, function: Callable[..., ndarray], *operands: Any, slope: Any = None) -> Node:
        """Record a function of each element."""
        return self._record(Elementwise(function, slope), operands)

    def power(self, operand: Any, exponent: int) -> Node:
        """Record a power with a whole exponent."""

        def power(a: ndarray) -> ndarray:
            return a**exponent

        return self.elementwise(power, operand)

    def compared(self, comparison: np.ufunc, a: Any, b: Any) -> Condition:
        """Return the condition that two arrays compare so."""
        shapes = [np.shape(a), np.shape(b)]
        return Condition(self, _done(comparison.__name__, lambda: np.asarray(comparison(a, b)), shapes))

    def where(self, condition: Any, a: Any, b: Any) -> Node:
        """Record a choice of elements; no gradient goes through the condition."""
        if not isinstance(condition, Condition):
            raise OutsideNamespaceError(
                "the condition of xp.where should be a comparison of arrays; write xp.where(a > 0, …, …)"
            )
        return self._record(self.choice(condition.value), (a, b))

    def choice(self, at: ndarray) -> Operation:
        """Return the operation that takes elements of its first operand where ``at`` is true."""

        def where(a: ndarray, b: ndarray) -> ndarray:
            return np.where(at, a, b)

        return Elementwise(where)

    def einsum(self, spec: str, *operands: Any) -> Node:
        """Record a sum of products."""
        nodes = [self._lifted(each) for each in operands]
        inputs, output = _explicit(spec, [each.ndim for each in nodes])
        return self._record(self.products(inputs, output), nodes)

    def largest(self, node: Node) -> Node:
        """Return a node for the largest element of each row, through which no gradient passes."""
        return self.constant(node.value.max(-1, keepdims=True))

    def products(self, inputs: tuple[str, ...], output: str, name: str = "einsum") -> Einsum:
        """Return the operation of a sum of products, by the letters of its operands and of its value."""
        return Einsum(inputs, output, name)

    def matmul(self, a: Any, b: Any) -> Node:
        """Record a product of matrices, or of stacks of them."""
        left, right = self._lifted(a), self._lifted(b)
        if min(left.ndim, right.ndim) < 1:
            raise OutsideNamespaceError("matmul of a number; multiply with * instead")
        stack = "abcdefgh"[: max(left.ndim, right.ndim, 2) - 2]
        rows, columns = "i" if left.ndim > 1 else "", "k" if right.ndim > 1 else ""
        first = stack[len(stack) - max(left.ndim - 2, 0) :] + rows + "j"
        second = stack[len(stack) - max(right.ndim - 2, 0) :] + "j" + columns
        return self._record(self.products((first, second), stack + rows + columns, "matmul"), (left, right))

    def gather(self, name: str, key: object, move: Callable[..., ndarray], *operands: Any) -> Node:
        """Record a move of elements.

        Args:
            name: the name that messages show.
            key: identifies the move, together with the name and the operands' shapes.
            move: a function from the operands to the value.
            operands: nodes or numbers.
        """
        nodes = [self._lifted(each) for each in operands]
        shapes = tuple(each.shape for each in nodes)
        if (name, key, shapes) not in self._places:
            start, positions = 0, []
            for shape in shapes:
                size = int(np.prod(shape, dtype=np.intp))
                positions.append(np.arange(start, start + size).reshape(shape))
                start += size
            places = np.asarray(_done(name, lambda: move(*positions), shapes))
            self._places[name, key, shapes] = places, len(np.unique(places)) == places.size
        return self._record(Gather(*self._places[name, key, shapes], name), nodes)

    def sum(self, operand: Any, axis: int | tuple[int, ...] | None, keepdims: bool, *, mean: bool = False) -> Node:
        """Record a sum or mean over axes; all of them for None."""
        node = self._lifted(operand)
        given = range(node.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
        axes = tuple(sorted(each - node.ndim if each >= 0 else each for each in given))
        terms = int(np.prod([node.shape[each] for each in axes], dtype=np.intp)) if mean else 1
        return self._record(Sum(axes, keepdims, terms, "mean" if mean else "sum"), (node,))

    def _record(self, operation: Operation, operands: Sequence[Any]) -> Node:
        nodes = tuple(self._lifted(each) for each in operands)
        values = [each.value for each in nodes]
        shapes = [value.shape for value in values]
        value = _done(operation.name, lambda: operation.apply(values, [False] * len(values)), shapes)
        value = self._rounded(value, operation, values)
        line = self.line()
        nth = self._seen[line] = self._seen.get(line, -1) + 1
        return Node(self, value, operation, nodes, Site(line, nth), "")

    def _rounded(self, value: ndarray, operation: Operation | None, operands: Sequence[ndarray]) -> ndarray:
        return value if self._perturbed is None else self._perturbed(value, operation, operands)

    def line(self) -> int:
        """Return the running line of the step's file; 0 if none runs."""
        frame = sys._getframe(2)
        while frame is not None and frame.f_code.co_filename != self.file:
            frame = frame.f_back  # type: ignore[assignment]
        return 0 if frame is None else frame.f_lineno

    def _lifted(self, operand: Any) -> Node:
        """Return a node for an operand: a number becomes a constant, an array of the step's own is refused."""
        if isinstance(operand, Node):
            if self.is_kept(operand):
                raise OutsideNamespaceError("a step uses an array of an earlier call; declare it as a state")
            return operand
        if isinstance(operand, Condition):
            raise OutsideNamespaceError("a step computes with a comparison; use xp.where(a > b, 1.0, 0.0) for numbers")
        if np.ndim(operand) == 0 and np.asarray(operand).dtype.kind in "biuf":
            return self.constant(operand)
        if operand is None:
            raise OutsideNamespaceError(
                "a step computes with None, as an absent optional array is; write the step for both, as in "
                "y = y if w['b'] is None else y + w['b']"
            )
        raise OutsideNamespaceError(
            f"a step uses an array that is not an argument, of shape {np.shape(operand)}; declare it among the "
            "weights, inputs or context"
        )


_DECIDES = "a step branches on a number (if, and, or, while); use xp.where for each element"


class Condition:
    """A comparison of arrays, which ``xp.where`` takes; combined by ``&``, ``|`` and ``~``.

    Attributes:
        tape: the tape that the arrays are on.
        value: true or false for each element.
    """

    __slots__ = ("tape", "value")

    def __init__(self, tape: Tape, value: ndarray) -> None:
        self.tape, self.value = tape, value

    def __and__(self, other: Condition) -> Condition:
        return Condition(self.tape, self.value & other.value)

    def __or__(self, other: Condition) -> Condition:
        return Condition(self.tape, self.value | other.value)

    def __invert__(self) -> Condition:
        return Condition(self.tape, ~self.value)

    def __getitem__(self, index: Any) -> Condition:
        return Condition(self.tape, np.asarray(self.value[index]))

    def __bool__(self) -> NoReturn:
        raise OutsideNamespaceError(_DECIDES)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # Python and NumPy look for such attributes
            raise AttributeError(name)
        raise OutsideNamespaceError(f"a step uses .{name} of a comparison; only xp.where can follow a comparison")


class Node(NDArrayOperatorsMixin):
    """An array of a step, on a tape.

    Attributes:
        tape: the tape that it is on.
        value: the numbers.
        operation: the operation that made it; None for an argument of the step.
        parents: the operands.
        site: its place in the step.
        name: the name of an argument of the step.
        t: the time step.
        block: the part of a network, such as ``layer0.reverse``; empty for a recurrence alone.
        index: its position on the tape.
    """

    __slots__ = ("block", "index", "name", "operation", "parents", "site", "t", "tape", "value")

    def __init__(
        self,
        tape: Tape,
        value: ndarray,
        operation: Operation | None,
        parents: tuple[Node, ...],
        site: Site,
        name: str,
    ) -> None:
        self.tape, self.value, self.operation, self.parents, self.site, self.name = (
            tape,
            value,
            operation,
            parents,
            site,
            name,
        )
        self.t, self.block, self.index = tape.t, tape.block, len(tape.nodes)
        tape.nodes.append(self)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.value.shape

    @property
    def ndim(self) -> int:
        """The number of its axes."""
        return self.value.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of its numbers."""
        return self.value.dtype

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, index: Any) -> Node:
        for each in index if isinstance(index, tuple) else (index,):
            if not (each is None or each is Ellipsis or isinstance(each, slice | int)):
                kind = {"Condition": "comparison", "Node": "array"}.get(type(each).__name__, type(each).__name__)
                article = "an" if kind[0] in "aeiou" else "a"
                other = "; for elements that are chosen, use xp.where" if kind == "comparison" else ""
                raise OutsideNamespaceError(
                    f"an index of a step is {article} {kind}; use slices, whole numbers, None or …{other}"
                )
        return self.tape.gather("index", repr(index), operator.itemgetter(index), self)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *operands: Any, **options: Any) -> Any:
        if "out" in options:
            raise OutsideNamespaceError("a step changes an array in place, as += does; write a = a + b")
        if method == "__call__" and not options:
            if ufunc in OPERATORS:
                return self.tape.elementwise(OPERATORS[ufunc], *operands)
            if ufunc is np.matmul:
                return self.tape.matmul(*operands)
            if ufunc is np.power and isinstance(operands[1], int | float) and operands[1] == int(operands[1]):
                return self.tape.power(operands[0], int(operands[1]))
            if ufunc is np.power:
                raise OutsideNamespaceError(
                    "a step raises to a power that is not a whole number; use xp.sqrt, or xp.exp(p * xp.log(a))"
                )
            if ufunc in COMPARISONS:
                values = [each.value if isinstance(each, Node) else each for each in operands]
                return self.tape.compared(ufunc, *values)
        return _refuse(f"np.{ufunc.__name__}", ufunc.__name__)

    def __array_function__(self, function: Any, types: Any, operands: Any, options: Any) -> NoReturn:
        _refuse(f"np.{function.__name__}", function.__name__)

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise OutsideNamespaceError("a step makes a NumPy array of one of its arrays, which no route can follow")

    def __bool__(self) -> NoReturn:
        raise OutsideNamespaceError(_DECIDES)

    def __iter__(self) -> NoReturn:
        raise OutsideNamespaceError("a step loops over an array; use slices for its parts")

    def __float__(self) -> NoReturn:
        raise OutsideNamespaceError("a step makes a float of one of its arrays, which no route can follow")

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise OutsideNamespaceError("a step writes into an array; use xp.concat or xp.stack to make a new one")

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # Python and NumPy look for such attributes
            raise AttributeError(name)
        _refuse(
            f".{name} of an array", {"T": "permute_dims", "dot": "matmul", "transpose": "permute_dims"}.get(name, name)
        )


def _done(name: str, operation: Callable[[], ndarray], shapes: Sequence[tuple[int, ...]]) -> ndarray:
    """Return the value of an operation; refuse it if the shapes do not fit."""
    try:
        return operation()
    except (ValueError, IndexError) as error:
        given = " and ".join(map(str, shapes))
        raise OutsideNamespaceError(
            f"{name} does not fit arrays of shape {given}; check the declared shapes"
        ) from error


def _refuse(used: str, name: str) -> NoReturn:
    known = {"concatenate": "concat", "transpose": "permute_dims", "absolute": "abs", "fabs": "abs"}.get(name, name)
    advice = f"use xp.{known}" if known in NAMES else f"xp has {', '.join(NAMES)}"
    raise OutsideNamespaceError(f"a step uses {used}, which not every route can follow; {advice}")


def _explicit(spec: str, ndims: Sequence[int]) -> tuple[tuple[str, ...], str]:
    """Return the letters of each operand and of the value, with letters in place of an ellipsis."""
    if "->" not in spec:
        raise OutsideNamespaceError(f"einsum {spec!r} should name its result, as in 'bi,ij->bj'")
    left, output = spec.replace(" ", "").split("->")
    inputs = left.split(",")
    if len(inputs) != len(ndims):
        raise OutsideNamespaceError(f"einsum {spec!r} has {len(inputs)} operands, but received {len(ndims)}")
    free = [letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if letter not in spec]
    widths = [n - len(each.replace("...", "")) if "..." in each else 0 for each, n in zip(inputs, ndims, strict=True)]
    letters = "".join(free[: max(widths, default=0)])
    inputs = [
        each.replace("...", letters[len(letters) - w :]) if w else each.replace("...", "")
        for each, w in zip(inputs, widths, strict=True)
    ]
    output = output.replace("...", letters)
    for each, n in zip(inputs, ndims, strict=True):
        if len(set(each)) != len(each):
            raise OutsideNamespaceError(
                f"einsum {spec!r} has a letter twice in one operand; diagonals are not supported"
            )
        if len(each) != n:
            raise OutsideNamespaceError(f"einsum {spec!r} has {len(each)} letters for an operand of {n} axes")
    return tuple(inputs), output
