"""Ways to break one rule of a derived reverse pass, for any recurrence.

A rule changes the contribution of one operation of the step to one operand, at every step, or the start of the pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray

from harness.derive.operations import Carry, Einsum, Elementwise, Gather, unbroadcast
from harness.derive.recording import Recording, Sequences
from harness.derive.reverse import contribution
from harness.derive.tape import Node, Site
from harness.diagnosis.recurrent.naming import Names

Handed = Callable[[Node, ndarray], ndarray]
"""A function from a node and its gradient, (…), to its contribution to the operand of the rule."""


@dataclass(frozen=True, eq=False)
class Rule:
    """One way to break a reverse pass.

    Attributes:
        fault: a short name of its kind.
        text: one sentence.
        site, k: the operation and the operand whose contribution changes; None if the start changes.
        handed: the changed contribution.
        begins: the changed upstream gradients.
        skips: a step that the pass leaves out; None for none.
    """

    fault: str
    text: str
    site: Site | None = None
    k: int = 0
    handed: Handed | None = None
    begins: Callable[[Sequences], Sequences] | None = None
    skips: int | None = None


SLOPES_BY_RESULT: dict[str, dict[str, Callable[[ndarray], ndarray]]] = {
    "tanh": {"1 - y": lambda y: 1 - y, "1 + y²": lambda y: 1 + y * y, "y²": lambda y: y * y},
    "sigmoid": {"1 - y": lambda y: 1 - y, "y (1 + y)": lambda y: y * (1 + y), "1 - y²": lambda y: 1 - y * y},
}
"""Wrong slopes of functions in terms of their result y."""

RIGHT_BY_RESULT: dict[str, Callable[[ndarray], ndarray]] = {
    "tanh": lambda y: 1 - y * y,
    "sigmoid": lambda y: y * (1 - y),
    "exp": lambda y: y,
}
"""Right slopes of functions in terms of their result y."""


def rules(recording: Recording, problem: Sequences, names: Names) -> list[Rule]:
    """Return every rule of a recorded step."""
    return [*_beginnings(problem), *_carries(names, recording), *_operations(recording, names)]


def _beginnings(problem: Sequences) -> Iterator[Rule]:
    """Yield faults of the start of the pass, and of its loop."""

    def states(*left_out: str) -> Callable[[Sequences], Sequences]:
        return lambda p: replace(
            p,
            upstream_state={name: np.zeros_like(g) if name in left_out else g for name, g in p.upstream_state.items()},
        )

    def outputs(change: Callable[[ndarray], ndarray]) -> Callable[[Sequences], Sequences]:
        return lambda p: replace(p, upstream=change(p.upstream))

    names = tuple(problem.upstream_state)
    for name in names:
        yield Rule("last-state", f"the gradient by the last state {name} is left out", begins=states(name))
    if len(names) > 1:
        yield Rule("last-state", "the gradients by the last states are left out", begins=states(*names))
    T = problem.steps
    last = (np.arange(T) == T - 1).astype(problem.upstream.dtype)
    changes: dict[str, Callable[[ndarray], ndarray]] = {
        "are left out": np.zeros_like,
        "have the wrong sign": np.negative,
        "are taken in reverse order of time": lambda g: g[:, ::-1],
        "are taken one step late": lambda g: np.roll(g, 1, 1),
        "are taken one step early": lambda g: np.roll(g, -1, 1),
        "are taken at the last step alone": lambda g: g * last.reshape(-1, *(1,) * (g.ndim - 2)),
        "are all taken to be 1": np.ones_like,
    }
    for text, change in changes.items():
        yield Rule("upstream", f"the gradients by the outputs {text}", begins=outputs(change))
    for step, word in ((0, "first"), (T - 1, "last")):
        yield Rule("loop", f"the backward loop leaves out the {word} step", skips=step)


def _carries(names: Names, recording: Recording) -> Iterator[Rule]:
    """Yield faults of how a state's gradient is carried from step to step."""
    T = len(recording.outputs)
    for site, at in names.by_site.items():
        if not isinstance(at[0].operation, Carry):
            continue
        state = site.state
        for text, factor in (("is not carried back", 0.0), ("is carried back twice", 2.0), ("changes its sign", -1.0)):
            text = f"the gradient of the state {state} {text} from step to step"
            yield Rule("carry", text, site, 0, _carried_if(lambda t: t == 0, factor))
        for every in range(2, T):
            text = f"the gradient of the state {state} is cut every {every} steps"
            yield Rule("truncation", text, site, 0, _carried_if(_not_multiple_of(every), 0.0))


def _carried_if(right: Callable[[int], bool], factor: float) -> Handed:
    """Return a carry that is right at some steps and so many times as large at the others."""
    return lambda node, g: g if right(node.t) else factor * g


def _not_multiple_of(every: int) -> Callable[[int], bool]:
    return lambda t: t == 0 or t % every != 0


def _operations(recording: Recording, names: Names) -> Iterator[Rule]:
    """Yield faults of each operation of the step."""
    for site, node, k, parent in names.operands():
        if isinstance(node.operation, Carry | Gather) and len(node.parents) == 1:
            continue  # the operation that follows hands over the same
        assert node.operation is not None
        op, line = node.operation.name, names.line(site)
        through = f" through the {op}" if names.is_ambiguous(site, parent) else ""
        into = f"in `{line}`, the gradient into {names.of(parent)}{through}"
        for text, fault, factor in (
            ("is left out", "dropped", 0.0),
            ("is counted twice", "doubled", 2.0),
            ("has the wrong sign", "sign", -1.0),
        ):
            yield Rule(fault, f"{into} {text}", site, k, _scaled(k, factor))
        if isinstance(node.operation, Elementwise) and len(node.parents) == 1:
            yield from _slopes(site, node, f"in `{line}`, the slope of the {op}")
        if op == "where":
            text = f"in `{line}`, {names.of(parent)} takes the whole gradient of both branches"
            yield Rule("branch", text, site, k, _whole(k))
        if op in ("multiply", "divide"):
            other = names.of(node.parents[1 - k])
            text = f"in `{line}`, the gradient into {names.of(parent)} misses its factor {other}"
            yield Rule("factor", text, site, k, _whole(k))
        if isinstance(node.operation, Einsum) or op in ("multiply", "divide"):
            yield from _values(recording, names, site, node, k, into)


def _scaled(k: int, factor: float) -> Handed:
    return lambda q, g: factor * contribution(q, k, g)


def _whole(k: int) -> Handed:
    """Return the contribution of an operation that passes its gradient on unchanged."""
    return lambda q, g: unbroadcast(g + 0 * q.value, q.parents[k].shape, 0)


def _times(by: Callable[[Node], ndarray]) -> Handed:
    return lambda q, g: np.asarray(g * by(q))


def _by_result(formula: Callable[[ndarray], ndarray]) -> Handed:
    return lambda q, g: np.asarray(g * formula(q.value))


def _slopes(site: Site, node: Node, slope: str) -> Iterator[Rule]:
    operation = node.operation
    assert isinstance(operation, Elementwise)

    def at(value: ndarray) -> ndarray:
        return operation.slope_by([value], 0)

    yield Rule("slope", f"{slope} is left out", site, 0, lambda _, g: g)
    yield Rule("slope", f"{slope} is taken at its result", site, 0, _times(lambda q: at(q.value)))
    yield Rule("slope", f"{slope} is taken twice", site, 0, _times(lambda q: at(q.parents[0].value) ** 2))
    yield Rule("slope", f"{slope} is its value", site, 0, _times(lambda q: q.value))
    for text, wrong in SLOPES_BY_RESULT.get(operation.name, {}).items():
        yield Rule("slope", f"{slope} is computed as {text} of its result y", site, 0, _by_result(wrong))
    if formula := RIGHT_BY_RESULT.get(operation.name):
        text = f"{slope} is computed from its argument as if that were its result"
        yield Rule("slope", text, site, 0, _times(lambda q: formula(q.parents[0].value)))


def _values(recording: Recording, names: Names, site: Site, node: Node, k: int, into: str) -> Iterator[Rule]:
    """Yield faults that take another value for an operand that the gradient is multiplied by."""
    for j, other in enumerate(node.parents):
        if j == k or (other.operation is None and not other.name):
            continue
        name = names.of(other)
        taken: list[tuple[str, str, Value]] = [
            ("stale", f"{name} of the step before", _of_step(recording, names, site, j, -1)),
            ("stale", f"{name} of the step after", _of_step(recording, names, site, j, 1)),
            ("stale", f"{name} of the step before, and of the last step at the first", _around(names, site, j)),
            ("stale", f"{name} of the first step at every step", _first(names, site, j)),
        ]
        if other.shape == node.shape:
            taken.append(("result", f"its result for {name}", lambda q, _: q.value))
        for i, (text, _) in enumerate(_before(other, names)):
            taken.append(("other-value", f"{text} for {name}", _variant(names, j, i)))
        taken += [
            ("index", f"{name} of index 0 along axis {axis} for all", _index_0(axis))
            for axis, size in enumerate(other.shape)
            if size > 1
        ]
        if isinstance(node.operation, Einsum) and other.ndim >= 2 and other.shape[-1] == other.shape[-2]:
            taken.append(("untransposed", f"{name} untransposed", lambda _, value: np.swapaxes(value, -1, -2)))
        for fault, text, value in taken:
            yield Rule(fault, f"{into} takes {text}", site, k, _taking(value, j, k))


Value = Callable[[Node, ndarray], ndarray]
"""Maps a node and the value of its operand to another value of the same shape."""


def _taking(value: Value, j: int, k: int) -> Handed:
    """Return the contribution of an operation to operand k if another value replaces operand j."""

    def handed(q: Node, g: ndarray) -> ndarray:
        values = [each.value for each in q.parents]
        values[j] = value(q, values[j])
        assert q.operation is not None
        return q.operation.pull(values, k, g)

    return handed


def _of_step(recording: Recording, names: Names, site: Site, j: int, shift: int) -> Value:
    at = names.by_site[site]

    def value(q: Node, own: ndarray) -> ndarray:
        operand = q.parents[j]
        if q.t + shift in at:
            return at[q.t + shift].parents[j].value
        if shift > 0 and isinstance(operand.operation, Carry):
            return recording.last[operand.site.state].value
        for state, after in recording.leaving[q.t].items():
            if after is operand and shift < 0:  # a new state's value before is the old state
                return recording.entering[q.t][state].value
        return own

    return value


def _around(names: Names, site: Site, j: int) -> Value:
    at = names.by_site[site]
    return lambda q, _: at[(q.t - 1) % len(at)].parents[j].value


def _first(names: Names, site: Site, j: int) -> Value:
    at = names.by_site[site]
    return lambda *_: at[0].parents[j].value


def _variant(names: Names, j: int, i: int) -> Value:
    return lambda q, _: list(_before(q.parents[j], names))[i][1]


def _index_0(axis: int) -> Value:
    return lambda _, value: np.broadcast_to(value.take([0], axis), value.shape)


def _before(node: Node, names: Names) -> Iterator[tuple[str, ndarray]]:
    """Yield values that people take for a node's: the operands of its last function."""
    if isinstance(node.operation, Elementwise):
        for parent in node.parents:
            fits = np.broadcast_shapes(parent.shape, node.shape) == node.shape
            if fits and (parent.operation is not None or parent.name):
                yield names.of(parent), np.broadcast_to(parent.value, node.shape)
    elif isinstance(node.operation, Gather) and len(node.parents) == 1:
        for text, value in _before(node.parents[0], names):
            yield text, node.operation.apply([value], [False])
