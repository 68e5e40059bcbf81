"""Ways to break one rule of a derived reverse pass, for any recurrence.

A rule changes the contribution of one operation of the step to one operand, at every step, or the start of the pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy import ndarray

from harness.derive.operations import Carry, Einsum, Elementwise, Gather, Operation, unbroadcast
from harness.derive.recording import Recording, Sequences
from harness.derive.reverse import contribution
from harness.derive.tape import Node, Site
from harness.diagnosis.recurrent.naming import Names

Handed = Callable[[Node, ndarray], ndarray]
"""Maps a node and its gradient, (R, …) of R passes, to what it hands to the operand of the rule, (R, …)."""

Place = tuple[Site, int]
"""An operation of the step, and the position of an operand of it."""


@dataclass(frozen=True, eq=False)
class Rule:
    """One way to break a reverse pass.

    Attributes:
        fault: a short name of its kind.
        text: one sentence.
        handed: the changed contributions, each by its place; none where the beginning alone changes.
        sources: for each place whose operation takes the gradient of another node in place of its own, that node.
        begins: the changed upstream gradients.
        skips: a step that the pass leaves out; None for none.
    """

    fault: str
    text: str
    handed: Mapping[Place, Handed] = field(default_factory=dict)
    sources: Mapping[Place, Callable[[Node], Node]] = field(default_factory=dict)
    begins: Callable[[Sequences], Sequences] | None = None
    skips: int | None = None


SLOPES_BY_RESULT: dict[str, dict[str, Callable[[ndarray], ndarray]]] = {
    "tanh": {"1 - y": lambda y: 1 - y, "1 + y²": lambda y: 1 + y * y, "y²": lambda y: y * y},
    "sigmoid": {
        "1 - y": lambda y: 1 - y,
        "y²": lambda y: y * y,
        "y (1 + y)": lambda y: y * (1 + y),
        "1 - y²": lambda y: 1 - y * y,
    },
}
"""Wrong slopes of functions in terms of their result y."""

FLIPPED: dict[Callable[..., ndarray], Callable[..., ndarray]] = {np.add: np.subtract, np.subtract: np.add}
"""A sum for a difference, and a difference for a sum."""

RIGHT_BY_RESULT: dict[str, Callable[[ndarray], ndarray]] = {
    "tanh": lambda y: 1 - y * y,
    "sigmoid": lambda y: y * (1 - y),
    "exp": lambda y: y,
}
"""Right slopes of functions in terms of their result y."""


def rules(recording: Recording, problem: Sequences, names: Names) -> list[Rule]:
    """Return every rule of a recorded step."""
    return [
        *_beginnings(problem),
        *_carries(names, recording),
        *_sums(recording, names),
        *_operations(recording, names),
        *_parts(names),
    ]


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
        "are taken at the first step for all": lambda g: np.repeat(g[:, :1], T, 1),
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
            yield Rule("carry", text, {(site, 0): _carried_if(lambda t: t == 0, factor)})
            also = (
                f"{text}, and so does that of the last step" if factor < 0 else f"{text}, nor is that of the last step"
            )
            if factor <= 0:
                begins = _last_state_times(state, factor)
                yield Rule("carry", also, {(site, 0): _carried_if(lambda t: t == 0, factor)}, begins=begins)
        for every in range(2, T):
            text = f"the gradient of the state {state} is cut every {every} steps"
            yield Rule("truncation", text, {(site, 0): _carried_if(_not_multiple_of(every), 0.0)})


def _sums(recording: Recording, names: Names) -> Iterator[Rule]:
    """Yield weights whose gradient is not the sum over all steps."""
    last = len(recording.outputs) - 1
    kept: dict[str, Callable[[int], bool]] = {
        "has the first step alone": lambda t: t == 0,
        "has the last step alone": lambda t: t == last,
        "leaves out the first step": lambda t: t > 0,
        "leaves out the last step": lambda t: t < last,
    }
    for name in recording.weights if last else ():
        places = [
            (site, k) for site, _, k, parent in names.operands() if parent.operation is None and parent.name == name
        ]
        for text, right in kept.items():
            yield Rule("step-weights", f"{name} {text}", {(site, k): _at_steps(right, k) for site, k in places})


def _at_steps(right: Callable[[int], bool], k: int) -> Handed:
    return lambda q, g: contribution(q, k, g) if right(q.t) else 0 * contribution(q, k, g)


def _last_state_times(state: str, factor: float) -> Callable[[Sequences], Sequences]:
    return lambda p: replace(p, upstream_state={**p.upstream_state, state: factor * p.upstream_state[state]})


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
        op, line, into = node.operation.name, names.line(site), into_operand(names, node, k)
        for text, fault, factor in (
            ("is left out", "dropped", 0.0),
            ("is counted twice", "doubled", 2.0),
            ("has the wrong sign", "sign", -1.0),
        ):
            yield Rule(fault, f"{into} {text}", {(site, k): _scaled(k, factor)})
        if isinstance(node.operation, Elementwise) and parent.shape != node.shape:
            yield Rule("mean", f"{into} is a mean where it should be a sum", {(site, k): _mean(k)})
        if isinstance(node.operation, Einsum) and (terms := _summed(node.operation, node, k)) > 1:
            yield Rule("mean", f"{into} is a mean where it should be a sum", {(site, k): _divided_by(terms, k)})
        if isinstance(node.operation, Einsum) and parent.shape == node.shape:
            yield Rule("factor", f"{into} misses the product", {(site, k): lambda _, g: g})
        if isinstance(node.operation, Gather):
            for j, part in enumerate(node.parents):
                if j > k and part.shape == parent.shape:
                    text = f"in `{line}`, the gradients into {names.of(parent)} and {names.of(part)} are exchanged"
                    yield Rule("order", text, {(site, k): _exchanged(k, j), (site, j): _exchanged(j, k)})
        if isinstance(node.operation, Elementwise) and len(node.parents) == 1:
            yield from _slopes(site, node, f"in `{line}`, the slope of the {names.operation(node)}")
        if op == "where":
            text = f"in `{line}`, {names.of(parent)} takes the whole gradient of both branches"
            yield Rule("branch", text, {(site, k): _whole(k)})
        if op in ("multiply", "divide"):
            other = names.of(node.parents[1 - k])
            text = f"{into} misses its factor {other}"
            yield Rule("factor", text, {(site, k): _whole(k)})
        if isinstance(node.operation, Einsum) or op in ("multiply", "divide"):
            yield from _values(recording, names, site, node, k, into)


def into_operand(names: Names, node: Node, k: int) -> str:
    """Return the words for the gradient that an operation hands to an operand."""
    parent = node.parents[k]
    through = f" through the {names.operation(node)}" if names.is_ambiguous(node.site, parent) else ""
    return f"in `{names.line(node.site)}`, the gradient into {names.of(parent)}{through}"


def _mean(k: int) -> Handed:
    return lambda q, g: contribution(q, k, g) * (q.parents[k].value.size / q.value.size)


def _summed(operation: Einsum, node: Node, k: int) -> int:
    """Return how many terms an element of the gradient of operand k is the sum of."""
    sizes = {
        letter: size
        for letters, parent in zip(operation.inputs, node.parents, strict=True)
        for letter, size in zip(letters, parent.shape, strict=True)
    }
    return int(np.prod([size for letter, size in sizes.items() if letter not in operation.inputs[k]], dtype=np.intp))


def _divided_by(terms: int, k: int) -> Handed:
    return lambda q, g: contribution(q, k, g) / terms


def _exchanged(k: int, j: int) -> Handed:
    """Return what an operation hands to operand k if it takes operand j for it."""
    return lambda q, g: contribution(q, j, g).reshape(len(g), *q.parents[k].shape)


def _parts(names: Names) -> Iterator[Rule]:
    """Yield exchanges of two parts of one array, such as gates in another order."""
    found = [
        (site, node)
        for site, node, _, _ in names.operands()
        if isinstance(node.operation, Gather) and node.operation.name == "index"
    ]
    for i, (site, node) in enumerate(found):
        for other_site, other in found[i + 1 :]:
            same = other.parents[0] is node.parents[0] and other.shape == node.shape
            if same and other.operation.places.tolist() != node.operation.places.tolist():  # type: ignore[union-attr]
                text = (
                    f"the gradients by the parts of {names.of(node.parents[0])} in `{names.line(site)}` and "
                    f"`{names.line(other_site)}` are exchanged"
                )
                handed = {(site, 0): _into(other.operation), (other_site, 0): _into(node.operation)}
                yield Rule("order", text, handed)


def _into(operation: Operation | None) -> Handed:
    """Return what an operation would hand over in place of the own one."""
    assert operation is not None
    return lambda q, g: operation.pull([q.parents[0].value], 0, g)


def _scaled(k: int, factor: float) -> Handed:
    return lambda q, g: factor * contribution(q, k, g)


def _whole(k: int) -> Handed:
    """Return what an operation hands over that passes its gradient on as it is."""
    return lambda q, g: unbroadcast(g, q.parents[k].shape, 1)


def _times(by: Callable[[Node], ndarray]) -> Handed:
    return lambda q, g: np.asarray(g * by(q))


def _by_result(formula: Callable[[ndarray], ndarray]) -> Handed:
    return lambda q, g: np.asarray(g * formula(q.value))


def _slopes(site: Site, node: Node, slope: str) -> Iterator[Rule]:
    operation = node.operation
    assert isinstance(operation, Elementwise)

    def at(value: ndarray) -> ndarray:
        return operation.slope_by([value], 0)

    yield Rule("slope", f"{slope} is left out", {(site, 0): lambda _, g: g})
    yield Rule("slope", f"{slope} is taken at its result", {(site, 0): _times(lambda q: at(q.value))})
    yield Rule("slope", f"{slope} is taken twice", {(site, 0): _times(lambda q: at(q.parents[0].value) ** 2)})
    yield Rule("slope", f"{slope} is its value", {(site, 0): _times(lambda q: q.value)})
    for text, wrong in SLOPES_BY_RESULT.get(operation.name, {}).items():
        yield Rule("slope", f"{slope} is computed as {text} of its result y", {(site, 0): _by_result(wrong)})
    if formula := RIGHT_BY_RESULT.get(operation.name):
        text = f"{slope} is computed from its argument as if that were its result"
        yield Rule("slope", text, {(site, 0): _times(lambda q: formula(q.parents[0].value))})


def _values(recording: Recording, names: Names, site: Site, node: Node, k: int, into: str) -> Iterator[Rule]:
    """Yield faults that take another value for an operand that the gradient is multiplied by."""
    for j, other in enumerate(node.parents):
        if j == k or (other.operation is None and not other.name):
            continue
        name = names.of(other)
        taken: list[tuple[str, str, Value]] = [
            ("stale", f"{name} {when}", _at_moment(moment, j)) for when, moment in moments(recording, names, other)
        ]
        if isinstance(node.operation, Einsum):
            taken.append(("factor", f"ones for {name}", lambda _, value: np.ones_like(value)))
        if other.shape == node.shape:
            taken.append(("result", f"its result for {name}", lambda q, _: q.value))
        for i, (text, _) in enumerate(before_function(other, names)):
            taken.append(("other-value", f"{text} for {name}", _variant(names, j, i)))
        taken += [
            ("index", f"{name} of index 0 along axis {axis} for all", _index_0(axis))
            for axis, size in enumerate(other.shape)
            if size > 1
        ]
        if isinstance(node.operation, Einsum) and other.ndim >= 2 and other.shape[-1] == other.shape[-2]:
            taken.append(("untransposed", f"{name} untransposed", lambda _, value: np.swapaxes(value, -1, -2)))
        for fault, text, value in taken:
            yield Rule(fault, f"{into} takes {text}", {(site, k): _taking(value, j, k)})


Moment = Callable[[Node], ndarray]
"""Maps a node to its value at another step."""

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


def _at_moment(moment: Moment, j: int) -> Value:
    return lambda q, _: moment(q.parents[j])


def moments(recording: Recording, names: Names, node: Node) -> Iterator[tuple[str, Moment]]:
    """Yield other steps that a value is taken of by mistake, for nodes of one site; nothing for what has no time."""
    T = len(recording.outputs)

    def at(t: int, node: Node) -> ndarray:
        return same_at(recording, names, node, t).value

    def before(node: Node) -> ndarray:
        if node.t > 0:
            return at(node.t - 1, node)
        state = next((state for state, after in recording.leaving[0].items() if after is node), None)
        if state is not None:
            return recording.entering[0][state].value
        if isinstance(node.operation, Elementwise) and len(node.parents) == 1:
            return node.operation.apply([before(node.parents[0])], [False])
        return node.value

    def after(node: Node) -> ndarray:
        if node.t + 1 < T:
            return at(node.t + 1, node)
        return recording.last[node.site.state].value if isinstance(node.operation, Carry) else node.value

    if node.operation is None and len(recording.inputs.get(node.name, ())) != T:
        return
    yield "of the step before", before
    yield "of the step after", after
    if isinstance(node.operation, Carry):
        yield (
            "of the step before, and the last at the first",
            lambda node: at(node.t - 1, node) if node.t else recording.last[node.site.state].value,
        )
    yield "of the step before, and of the last step at the first", lambda node: at((node.t - 1) % T, node)
    yield "of the first step at every step", lambda node: at(0, node)
    yield "of the steps in reverse order", lambda node: at(T - 1 - node.t, node)


def same_at(recording: Recording, names: Names, node: Node, t: int) -> Node:
    """Return what a node is at step t; the node itself if it is the same at all steps."""
    if node.operation is not None:
        return names.by_site[node.site].get(t, node)
    at = recording.inputs.get(node.name, ())
    return at[t] if len(at) == len(recording.outputs) else node


def _variant(names: Names, j: int, i: int) -> Value:
    return lambda q, _: list(before_function(q.parents[j], names))[i][1]


def _index_0(axis: int) -> Value:
    return lambda _, value: np.broadcast_to(value.take([0], axis), value.shape)


def before_function(node: Node, names: Names) -> Iterator[tuple[str, ndarray]]:
    """Yield values that people take for a node's: the operands of its last function."""
    if isinstance(node.operation, Elementwise):
        for parent in node.parents:
            fits = np.broadcast_shapes(parent.shape, node.shape) == node.shape
            if fits and (parent.operation is not None or parent.name):
                yield names.of(parent), np.broadcast_to(parent.value, node.shape)
        if node.operation.function in FLIPPED:
            values = [parent.value for parent in node.parents]
            yield "the terms with the other sign between them", FLIPPED[node.operation.function](*values)
    elif isinstance(node.operation, Gather) and len(node.parents) == 1:
        for text, value in before_function(node.parents[0], names):
            yield text, node.operation.apply([value], [False])
