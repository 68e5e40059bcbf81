"""The namespace on balls, by the namespace on NumPy and a tape of its own; and gradients with proven digits.

The reverse pass goes over the tape in balls, so every gradient encloses the exact one at any precision. The precision
is python-flint's, ``flint.ctx.prec``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from flint import arb
from numpy import ndarray

from harness.derive.balls import (
    DECIDED,
    FUNCTIONS,
    Matrices,
    Owed,
    Pointwise,
    Products,
    UndecidedError,
    chosen,
    compared,
    power,
    to_balls,
)
from harness.derive.namespaces import OutsideNamespaceError
from harness.derive.operations import Clipped, Einsum, Elementwise, Operation
from harness.derive.recording import Sequences, recorded
from harness.derive.reverse import adjoints, backward, contribution
from harness.derive.stepping import Calculation
from harness.derive.tape import OPERATORS, Condition, Node, Perturbation, Tape

OF_NODE, OF_OBJECT, OF_FUNCTION = 1000, 15, 150
"""Cost of an operation, of one element that it adds, multiplies or moves, and of one element of another function.

Each counts forward and backward together, in multiplications of balls in matrices, about 20 ns each at 128 bits.
"""

DECISIONS = {
    "relu": "on which side of relu's kink a pre-activation is",
    "abs": "on which side of the kink of abs an element is",
    "maximum": "which operand of maximum is the larger one",
    "minimum": "which operand of minimum is the smaller one",
}
"""The question that balls leave open, by the name of a function."""

ARITHMETIC = {*(ufunc.__name__ for ufunc in OPERATORS), "where", "relu", "abs", "maximum", "minimum"}
"""Functions of each element that cost about as much as a multiplication."""


class BallTape(Tape):
    """A tape whose numbers are balls."""

    def __init__(self, file: str, dtype: np.dtype[Any], perturbed: Perturbation | None = None) -> None:
        super().__init__(file, dtype, perturbed)
        self._kept: dict[int, Matrices] = {}

    def leaf(self, value: ndarray, name: str, *, exact: bool = False) -> Node:
        """Return a node for an argument of the step; products at every step share its matrices."""
        node = super().leaf(value, name, exact=exact)
        self._kept[id(node.value)] = {}
        return node

    def products(self, inputs: tuple[str, ...], output: str, name: str = "einsum") -> Products:
        """Return the operation of a sum of products, by the letters of its operands and of its value."""
        return Products(inputs, output, name, self._kept)

    def constant(self, value: Any) -> Node:
        """Return a node for exact numbers that no gradient goes through."""
        return super().constant(to_balls(value))

    def elementwise(self, function: Callable[..., ndarray], *operands: Any, slope: Any = None) -> Node:
        """Record a function of each element, by its name or with a declared slope."""
        if slope is not None:
            return self._declared(function, slope, *operands)
        name = Elementwise(function).name
        if name in FUNCTIONS:
            return self._record(FUNCTIONS[name], operands)
        nodes = [self._lifted(each) for each in operands]
        return self._record(self._decided(name, lambda: DECIDED[name](*(each.value for each in nodes))), nodes)

    def power(self, operand: Any, exponent: int) -> Node:
        """Record a power with a whole exponent."""
        return self._record(power(exponent), (operand,))

    def compared(self, comparison: np.ufunc, a: Any, b: Any) -> Condition:
        """Return the condition that two arrays compare so, of every number in their balls."""
        name = comparison.__name__
        return Condition(self, self._decided(name, lambda: compared(comparison, to_balls(a), to_balls(b))))

    def choice(self, at: ndarray) -> Operation:
        """Return the operation that takes elements of its first operand where ``at`` is true."""
        return chosen(at)

    def largest(self, node: Node) -> Node:
        """Return a node for exact numbers about as large as the largest of each row."""
        return self.constant(_MIDDLES(node.value).max(-1, keepdims=True))

    def _declared(self, function: Callable[..., Any], slope: Callable[..., Any], operand: Any) -> Node:
        """Record a function with a declared slope; both are followed on a tape of their own."""
        node = self._lifted(operand)
        start, end = self._followed(function, node.value)
        if isinstance(slope, Clipped):
            own = adjoints(start.tape, [(end, to_balls(np.ones(node.shape)))], contributed)
            at = _LIMITED(to_balls(own.get(start.index, np.zeros(node.shape))), arb(slope.limit))
        else:
            at = self._followed(slope, node.value)[1].value
        return self._record(Pointwise("function", lambda _: end.value, (lambda g, *_: g * at,)), (node,))

    def _followed(self, function: Callable[..., Any], a: ndarray) -> tuple[Node, Node]:
        """Return the node that a function of each element begins with, and that of its result."""
        tape = BallTape(self.file, np.dtype(object))
        start = tape.leaf(a, "argument")
        found = function(start)
        end = found if isinstance(found, Node) else tape.constant(found)
        if end.shape != a.shape:
            raise OutsideNamespaceError(
                f"a function with a declared slope, or the slope, makes shape {end.shape} of {a.shape}"
            )
        return start, end

    def _decided(self, name: str, decide: Callable[[], Any]) -> Any:
        try:
            return decide()
        except UndecidedError:
            decision = DECISIONS.get(name, f"whether {name} holds")
            raise UndecidedError(f"do not decide {decision}, in line {self.line()} of {self.file}") from None


_MIDDLES = np.frompyfunc(lambda ball: ball.mid(), 1, 1)
_LIMITED = np.frompyfunc(lambda slope, limit: slope.min(limit).max(-limit), 2, 1)


def contributed(node: Node, k: int, g: ndarray) -> Any:
    """Return the contribution of a node to its operand k.

    It uses the node's value, and leaves the sum of all products with an argument of the step to the end.
    """
    if isinstance(node.operation, Products) and node.parents[k].operation is None:
        return Owed.by(node.operation, [each.value for each in node.parents], k, g)
    if isinstance(node.operation, Pointwise):
        return node.operation.pull_from(node.value, [each.value for each in node.parents], k, g)
    return contribution(node, k, g)


def work(problem: Calculation) -> float:
    """Return about how many multiplications of balls in matrices the gradients take, from the first step alone."""
    with np.errstate(all="ignore"):  # an overflow is judged in the comparison
        nodes = recorded(problem.first_step).graph.tape.nodes
    return problem.runs * sum(_work_of(node) for node in nodes)


def _work_of(node: Node) -> float:
    size, operation = node.value.size, node.operation
    if isinstance(operation, Einsum):
        shapes = [each.shape for each in node.parents]
        letters = {
            letter: n for each in zip(operation.inputs, shapes, strict=True) for letter, n in zip(*each, strict=True)
        }
        return OF_NODE + 3 * prod(letters.values()) + OF_OBJECT * (size + sum(map(prod, shapes)))
    if isinstance(operation, Elementwise) and operation.name not in ARITHMETIC:
        return OF_NODE + OF_FUNCTION * size
    return OF_NODE + OF_OBJECT * size


def in_balls(problem: Calculation) -> Calculation:
    """Return a problem with every number as an exact ball."""
    wide = problem.mapped(lambda _, array: to_balls(array))
    if not isinstance(wide, Sequences):
        return wide
    upstream_state = {name: to_balls(array) for name, array in wide.upstream_state.items()}
    return replace(wide, upstream=to_balls(wide.upstream), upstream_state=upstream_state)


def gradients(problem: Calculation) -> dict[str, ndarray]:
    """Return loss, outputs, last states and every gradient as arrays of balls, each around the exact numbers.

    Raises:
        UndecidedError: If the precision is too low to decide a comparison of the step; the text has its line.
        StepError: If the step does something that a step may not do.
    """
    graph, answers, ends = recorded(in_balls(problem), of=BallTape)
    found = {**answers, **backward(graph, [(node, to_balls(g)) for node, g in ends], contributed)}
    # An element to which no ball was added is still NumPy's zero, an int.
    return {name: to_balls(each) for name, each in found.items()}
