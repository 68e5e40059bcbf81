"""Faults of one tensor alone: the right numbers summed, scaled, turned or shifted otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy import ndarray

from harness.derive.reverse import backward, contribution
from harness.derive.tape import Node
from harness.diagnosis.recurrent.naming import Names
from harness.diagnosis.recurrent.predicting import predicted
from harness.diagnosis.recurrent.rules import Rule
from harness.diagnosis.recurrent.tracks import Taped, Upstream

Fault = tuple[str, str, ndarray]
"""A short name, one sentence, and the tensor that it would give."""


class Parts:
    """The right gradients, and the parts that they are sums of.

    Attributes:
        right: every gradient by name.
        by_step: for each weight the part of each time step, (T, …).
        by_sequence: for each weight the part of each sequence, (B, …).
        adjoints: for each node its gradient.
    """

    def __init__(self, problem: Taped) -> None:
        weights = {name: node for name, node in problem.graph.sources.items() if isinstance(node, Node)}
        weights = {name: node for name, node in weights.items() if name in problem.graph.shared}
        names = {node.index: name for name, node in weights.items()}
        T, B = problem.steps, len(problem.upstream.outputs)
        self.by_step = {name: np.zeros((T, *node.shape)) for name, node in weights.items()}
        self.adjoints: dict[int, ndarray] = {}

        def kept(node: Node, k: int, g: ndarray) -> ndarray:
            self.adjoints[node.index] = g
            handed = contribution(node, k, g)
            if node.parents[k].index in names:
                self.by_step[names[node.parents[k].index]][node.t] += handed
            return handed

        self.right = backward(problem.graph, problem.ends(), kept)
        rows = [[Rule("", "", begins=_only(b, B))] for b in range(B)]
        each = predicted(problem, rows)
        self.by_sequence = {name: each[name] for name in weights}


def _only(b: int, B: int) -> Callable[[Upstream], Upstream]:
    """Return a beginning with the gradients of one sequence alone."""
    mask = np.arange(B) == b

    def of(g: ndarray) -> ndarray:
        return np.asarray(g * mask.reshape(-1, *(1,) * (g.ndim - 1)))

    return lambda p: replace(p, outputs=of(p.outputs), states={name: of(g) for name, g in p.states.items()})


def faults_of(name: str, actual: ndarray, parts: Parts, problem: Taped, names: Sequence[Names]) -> Iterator[Fault]:
    """Yield faults of one tensor, each with the tensor that it would give.

    Args:
        name: the tensor.
        actual: the returned tensor, to which weights of parts are fitted.
        parts: the right gradients and their parts.
        problem: the problem on a tape.
        names: the words for places in the step of each layer.
    """
    right = parts.right[name]
    yield from changes_of(name, actual, right, problem)
    for other, tensor in parts.right.items():
        if other != name and tensor.shape == right.shape:
            yield "another", f"{name} is the gradient by {other}", tensor
    if isinstance(problem.graph.sources[name], list):
        yield "reversed", f"{name} has its steps in reverse order", right[:, ::-1]
        for shift, word in ((1, "late"), (-1, "early")):
            yield "shifted", f"{name} is one step {word}", np.roll(right, shift, 1)
    for called, of in (("step", parts.by_step), ("sequence", parts.by_sequence)):
        if name in of:
            yield from _weighted(name, actual, right, of[name], called)
    for own in names:
        yield from _in_between(name, right, parts, problem, own)


def changes_of(name: str, actual: ndarray, right: ndarray, problem: Taped) -> Iterator[Fault]:
    """Yield faults that change a tensor as a whole: zero, transposed, or times a factor."""
    yield "zero", f"{name} is zero", np.zeros_like(right)
    if right.ndim >= 2 and right.shape[-1] == right.shape[-2]:
        yield "transposed", f"{name} is transposed", np.swapaxes(right, -1, -2)
    yield from _factor(name, actual, right, problem)


def _factor(name: str, actual: ndarray, right: ndarray, problem: Taped) -> Iterator[Fault]:
    """Yield a factor that people mean: of a mean for a sum, of a sign, of a half."""
    B, T = problem.upstream.outputs.shape[:2]
    simple = {"2": 2.0, "½": 0.5, "−1": -1.0, "1/B": 1 / B, "1/T": 1 / T, "1/(B T)": 1 / (B * T), "B": B, "T": T}
    for text, factor in simple.items():
        if factor != 1:
            yield "factor", f"{name} is {text} times the right one", factor * right
    if right.size >= 4 and np.abs(right).max() > 0:
        fitted = float((actual * right).sum() / (right * right).sum())
        yield "factor", f"{name} is {fitted:.6g} times the right one", fitted * right


def _weighted(name: str, actual: ndarray, right: ndarray, parts: ndarray, called: str) -> Iterator[Fault]:
    """Yield sums of the right parts with other weights: some left out, some counted twice."""
    for i, word in ((0, "first"), (-1, "last")):
        yield f"{called}-weights", f"{name} has the {word} {called} alone", parts[i]
        yield f"{called}-weights", f"{name} leaves out the {word} {called}", right - parts[i]
    columns = parts.reshape(len(parts), -1).T  # (elements, parts)
    if columns.shape[0] > 2 * columns.shape[1] and np.isfinite(actual).all():
        fitted = np.linalg.lstsq(columns, actual.reshape(-1), rcond=None)[0]
        weights = np.round(2 * fitted) / 2
        if np.abs(weights).max() <= len(parts) and (weights != 1).any():
            counted = ", ".join(
                f"{called} {i} counts {weight:g} times" for i, weight in enumerate(weights) if weight != 1
            )
            yield f"{called}-weights", f"{name}: {counted}", (columns @ weights).reshape(right.shape)


def _in_between(name: str, right: ndarray, parts: Parts, problem: Taped, names: Names) -> Iterator[Fault]:
    """Yield gradients by values in between, and the right one times or divided by such a value."""
    T, track = problem.steps, names.track
    by_step = isinstance(problem.graph.sources[name], list)
    for at in names.by_site.values():
        node = next(iter(at.values()))
        nodes = [at[track.position(t)] for t in range(T) if track.position(t) in at]
        there: Sequence[ndarray] = [parts.adjoints[each.index] for each in nodes if each.index in parts.adjoints]
        if len(there) != T:
            continue
        if by_step:
            if node.shape == right[:, 0].shape:
                yield "in-between", f"{name} is the gradient by {names.of(node)}", np.stack(there, 1)
            yield from _times(name, right, names.of(node), np.stack([each.value for each in nodes], 1))
        elif name in parts.by_step and node.shape == right.shape:
            yield "in-between", f"{name} is the gradient by {names.of(node)}", np.sum(there, 0)
        elif name in parts.by_step:
            yield from _times(name, right, names.of(node), node.value)


def _times(name: str, right: ndarray, called: str, value: ndarray) -> Iterator[Fault]:
    """Yield the right numbers times a value or divided by it, of either sign."""
    if value.ndim == right.ndim and all(n in (1, m) for n, m in zip(value.shape, right.shape, strict=True)):
        for sign, factor in (("", 1.0), ("minus ", -1.0)):
            yield "times-value", f"{name} is the right one times {sign}{called}", factor * right * value
            with np.errstate(all="ignore"):
                yield "times-value", f"{name} is the right one divided by {sign}{called}", factor * right / value
