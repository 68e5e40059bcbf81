"""Ways to break one rule of a derived reverse pass, for any recurrence.

A rule changes the contribution of one operation of the step to one operand, at every step, or the start of the pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy import ndarray

from harness.derive.operations import Carry, Einsum, Elementwise, Gather, Operation, unbroadcast
from harness.derive.reverse import contribution
from harness.derive.tape import Node, Site
from harness.diagnosis.recurrent.naming import Names
from harness.diagnosis.recurrent.tracks import READOUT, REVERSE, Taped, Track, Upstream, zeros_like

Handed = Callable[[Node, ndarray], ndarray]
"""Maps a node and its gradient, (R, …) of R passes, to what it hands to the operand of the rule, (R, …)."""

Place = tuple[str, Site, int]
"""A part of a network, an operation of its step, and the position of an operand of it."""


@dataclass(frozen=True, eq=False)
class Rule:
    """One way to break a reverse pass.

    Attributes:
        fault: a short name of its kind.
        text: one sentence.
        handed: the changed contributions, each by its place; none where the beginning alone changes.
        sources: for each place whose operation takes the gradient of another node in place of its own, that node.
        begins: the changed upstream gradients.
        skips: for each part of a network the time step that its pass leaves out.
        arrives: for each part of a network the change of the gradients that arrive by its outputs, (B, T, …).
        is_of_some: whether some layers or directions alone have it.
    """

    fault: str
    text: str
    handed: Mapping[Place, Handed] = field(default_factory=dict)
    sources: Mapping[Place, Callable[[Node], Node]] = field(default_factory=dict)
    begins: Callable[[Upstream], Upstream] | None = None
    skips: Mapping[str, int] = field(default_factory=dict)
    arrives: Mapping[str, Callable[[ndarray], ndarray]] = field(default_factory=dict)
    is_of_some: bool = False


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


def rules(problem: Taped) -> list[Rule]:
    """Return every rule of a calculation: of its beginning, then of all layers at once, then of some alone."""
    return [*_beginnings(problem), *everywhere(problem, _of_track)]


def everywhere(problem: Taped, of_track: Callable[[Track, Names, Taped], Iterator[Rule]]) -> list[Rule]:
    """Return rules of all layers at once, as one loop over layers has them, then of some layers alone."""
    own: dict[str, dict[tuple[str, int], Rule]] = {}
    for track in problem.tracks:
        alike = Counter[str]()  # places of one line may have one name
        for rule in of_track(track, Names(track), problem):
            own.setdefault(track.block, {})[rule.text, alike[rule.text]] = rule
            alike[rule.text] += 1
    of_readout = own.pop(READOUT, {})
    groups = {"": list(own)}
    if reverse := [block for block in own if block.endswith(REVERSE)]:
        groups["in the forward direction alone: "] = [block for block in own if block not in reverse]
        groups["in the reverse direction alone: "] = reverse
    if len(own) > 2 or not reverse:
        groups |= {f"in {block} alone: ": [block] for block in own if len(own) > 1}
    found: list[Rule] = []
    for where, blocks in groups.items():
        for key in own[blocks[-1]]:
            each = [own[block][key] for block in blocks if key in own[block]]
            if len(each) == len(blocks):
                found.append(replace(_joined(f"{where}{key[0]}", each), is_of_some=bool(where)))
    return [*found, *of_readout.values()]


def _joined(text: str, rules: list[Rule]) -> Rule:
    """Return rules of several parts as one."""
    if len(rules) == 1:
        return replace(rules[0], text=text)
    found: dict[str, Any] = {
        part: {k: v for each in rules for k, v in getattr(each, part).items()}
        for part in ("handed", "sources", "skips", "arrives")
    }
    return replace(rules[0], text=text, **found)


def _of_track(track: Track, names: Names, problem: Taped) -> Iterator[Rule]:
    yield from _arrivals(track, problem)
    yield from _carries(track, names, problem)
    yield from _sums(track, names)
    yield from _operations(track, names)
    yield from _parts(track, names)


def _beginnings(problem: Taped) -> Iterator[Rule]:
    """Yield faults of the start of the pass."""

    def states(*left_out: str) -> Callable[[Upstream], Upstream]:
        return lambda p: replace(p, states={**p.states, **zeros_like({name: p.states[name] for name in left_out})})

    def outputs(change: Callable[[ndarray], ndarray]) -> Callable[[Upstream], Upstream]:
        return lambda p: replace(p, outputs=change(p.outputs))

    names = tuple(problem.upstream.states)
    for name in names:
        yield Rule("last-state", f"the gradient by the last state {name} is left out", begins=states(name))
    if len(names) > 1:
        yield Rule("last-state", "the gradients by the last states are left out", begins=states(*names))
    for text, change in _changes().items():
        yield Rule("upstream", f"the gradients by the outputs {text}", begins=outputs(change))


def _arrivals(track: Track, problem: Taped) -> Iterator[Rule]:
    """Yield faults of the gradients that come from the layer above, in a loop over layers."""
    if problem.runs_once and track.block and track.block != READOUT:
        for text, change in _changes().items():
            text = f"the gradients by a layer's outputs {text}"
            yield Rule("upstream", text, arrives={track.block: _in_each_sequence(track, change)})


def _in_each_sequence(track: Track, change: Callable[[ndarray], ndarray]) -> Callable[[ndarray], ndarray]:
    """Return a change of gradients (B, T, …) between the ends of each sequence."""
    if track.valid.all():
        return change

    def changed(g: ndarray) -> ndarray:
        found = g.copy()
        for b, (first, final) in enumerate(zip(track.first, track.final, strict=True)):
            found[b : b + 1, first : final + 1] = change(g[b : b + 1, first : final + 1])
        return found

    return changed


def _last_alone(g: ndarray) -> ndarray:
    return np.concatenate([np.zeros_like(g[:, :-1]), g[:, -1:]], 1)


def _changes() -> dict[str, Callable[[ndarray], ndarray]]:
    """Return changes of gradients by outputs, (B, T, …), in words."""
    return {
        "are left out": np.zeros_like,
        "have the wrong sign": np.negative,
        "are taken in reverse order of time": lambda g: g[:, ::-1],
        "are taken one step late": lambda g: np.roll(g, 1, 1),
        "are taken one step early": lambda g: np.roll(g, -1, 1),
        "are taken at the last step alone": _last_alone,
        "are taken at the first step for all": lambda g: np.repeat(g[:, :1], g.shape[1], 1),
        "are all taken to be 1": np.ones_like,
    }


def _carries(track: Track, names: Names, problem: Taped) -> Iterator[Rule]:
    """Yield faults of the loop, and of how a state's gradient is carried from step to step."""
    T, block = track.steps, track.block
    for step, word in ((0, "first"), (T - 1, "last")) if block != READOUT else ():
        yield Rule("loop", f"the backward loop leaves out the {word} step", skips={block: track.position(step)})
    for site, at in names.by_site.items():
        if not isinstance(at[0].operation, Carry):
            continue
        state = site.state
        for text, factor in (("is not carried back", 0.0), ("is carried back twice", 2.0), ("changes its sign", -1.0)):
            text = f"the gradient of the state {state} {text} from step to step"
            handed = {(block, site, 0): _carried_if(track, lambda own: own == 0, factor)}
            yield Rule("carry", text, handed)
            also = (
                f"{text}, and so does that of the last step" if factor < 0 else f"{text}, nor is that of the last step"
            )
            if factor <= 0 and state in problem.upstream.states:
                yield Rule("carry", also, handed, begins=_last_state_times(state, factor))
        for every in range(2, T):
            text = f"the gradient of the state {state} is cut every {every} steps"
            yield Rule("truncation", text, {(block, site, 0): _carried_if(track, _not_multiple_of(every), 0.0)})


def _sums(track: Track, names: Names) -> Iterator[Rule]:
    """Yield weights whose gradient is not the sum over all steps."""
    kept: dict[str, Callable[[ndarray], ndarray]] = {
        "has the first step alone": lambda own: own == 0,
        "has the last step alone": lambda own: own == track.final - track.first,
        "leaves out the first step": lambda own: own != 0,
        "leaves out the last step": lambda own: own != track.final - track.first,
    }
    for name, weight in track.weights.items() if track.steps > 1 else ():
        places = [(track.block, site, k) for site, _, k, parent in names.operands() if parent is weight]
        for text, right in kept.items():
            yield Rule("step-weights", f"{name} {text}", {place: _at_steps(track, right, place[2]) for place in places})


Own = Callable[[ndarray], ndarray]
"""Maps the position of a step in each sequence, (B,), to whether a gradient is right there, (B,) of bool."""


def _at_steps(track: Track, right: Own, k: int) -> Handed:
    return lambda q, g: contribution(q, k, _scaled_where(g, right(track.own(q)), 0.0))


def _scaled_where(g: ndarray, right: ndarray, factor: float) -> ndarray:
    """Return gradients (R, B, …) as they are for some sequences and so many times as large for the others."""
    if right.all():
        return g
    if not right.any() or g.shape[1:2] != right.shape:  # without a batch, all sequences at once
        return g if right.any() else factor * g
    return np.asarray(g * np.where(right, 1.0, factor).reshape(-1, *(1,) * (g.ndim - 2)))


def _last_state_times(state: str, factor: float) -> Callable[[Upstream], Upstream]:
    return lambda p: replace(p, states={**p.states, state: factor * p.states[state]})


def _carried_if(track: Track, right: Own, factor: float) -> Handed:
    """Return a carry that is right at some steps, and in padding, and so many times as large at the others."""

    def handed(q: Node, g: ndarray) -> ndarray:
        own = track.own(q)
        return _scaled_where(g, right(own) | (own <= 0) | (own > track.final - track.first), factor)

    return handed


def _not_multiple_of(every: int) -> Own:
    return lambda own: own % every != 0


def _operations(track: Track, names: Names) -> Iterator[Rule]:
    """Yield faults of each operation of the step."""
    block = track.block
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
            yield Rule(fault, f"{into} {text}", {(block, site, k): _scaled(k, factor)})
        if isinstance(node.operation, Elementwise) and parent.shape != node.shape:
            yield Rule("mean", f"{into} is a mean where it should be a sum", {(block, site, k): _mean(k)})
        if isinstance(node.operation, Einsum) and (terms := _summed(node.operation, node, k)) > 1:
            yield Rule("mean", f"{into} is a mean where it should be a sum", {(block, site, k): _divided_by(terms, k)})
        if isinstance(node.operation, Einsum) and parent.shape == node.shape:
            yield Rule("factor", f"{into} misses the product", {(block, site, k): lambda _, g: g})
        if isinstance(node.operation, Gather):
            for j, part in enumerate(node.parents):
                if j > k and part.shape == parent.shape:
                    text = f"in `{line}`, the gradients into {names.of(parent)} and {names.of(part)} are exchanged"
                    yield Rule("order", text, {(block, site, k): _exchanged(k, j), (block, site, j): _exchanged(j, k)})
        if isinstance(node.operation, Elementwise) and len(node.parents) == 1:
            yield from _slopes(block, site, node, f"in `{line}`, the slope of the {names.operation(node)}")
        if op == "where":
            text = f"in `{line}`, {names.of(parent)} takes the whole gradient of both branches"
            yield Rule("branch", text, {(block, site, k): _whole(k)})
        if op in ("multiply", "divide"):
            other = names.of(node.parents[1 - k])
            text = f"{into} misses its factor {other}"
            yield Rule("factor", text, {(block, site, k): _whole(k)})
        if isinstance(node.operation, Einsum) or op in ("multiply", "divide"):
            yield from _values(track, names, site, node, k, into)


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


def _parts(track: Track, names: Names) -> Iterator[Rule]:
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
                handed = {
                    (track.block, site, 0): _into(other.operation),
                    (track.block, other_site, 0): _into(node.operation),
                }
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


def _slopes(block: str, site: Site, node: Node, slope: str) -> Iterator[Rule]:
    operation = node.operation
    assert isinstance(operation, Elementwise)

    def at(value: ndarray) -> ndarray:
        return operation.slope_by([value], 0)

    yield Rule("slope", f"{slope} is left out", {(block, site, 0): lambda _, g: g})
    yield Rule("slope", f"{slope} is taken at its result", {(block, site, 0): _times(lambda q: at(q.value))})
    yield Rule("slope", f"{slope} is taken twice", {(block, site, 0): _times(lambda q: at(q.parents[0].value) ** 2)})
    yield Rule("slope", f"{slope} is its value", {(block, site, 0): _times(lambda q: q.value)})
    for text, wrong in SLOPES_BY_RESULT.get(operation.name, {}).items():
        yield Rule("slope", f"{slope} is computed as {text} of its result y", {(block, site, 0): _by_result(wrong)})
    if formula := RIGHT_BY_RESULT.get(operation.name):
        text = f"{slope} is computed from its argument as if that were its result"
        yield Rule("slope", text, {(block, site, 0): _times(lambda q: formula(q.parents[0].value))})


def _values(track: Track, names: Names, site: Site, node: Node, k: int, into: str) -> Iterator[Rule]:
    """Yield faults that take another value for an operand that the gradient is multiplied by."""
    for j, other in enumerate(node.parents):
        if j == k or (other.operation is None and not other.name):
            continue
        name = names.of(other)
        taken: list[tuple[str, str, Value]] = [
            ("stale", f"{name} {when}", _at_moment(moment, j)) for when, moment in moments(track, other)
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
            yield Rule(fault, f"{into} takes {text}", {(track.block, site, k): _taking(value, j, k)})


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


def moments(track: Track, node: Node) -> Iterator[tuple[str, Moment]]:
    """Yield other steps that a value is taken of by mistake, for nodes of one site; nothing for what has no time."""

    def of(q: Node, positions: ndarray) -> ndarray:
        return track.picked(q, np.clip(positions, 0, track.steps - 1))

    def instead(at: ndarray, other: ndarray, value: ndarray) -> ndarray:
        """Return another value for some sequences, (B,) of bool."""
        if not at.any() or value.shape[:1] != at.shape:
            return other if at.all() else value
        return np.where(at.reshape(-1, *(1,) * (value.ndim - 1)), other, value)

    def before(q: Node) -> ndarray:
        own = track.own(q)
        return instead(own == 0, _before_first(track, q, before), of(q, track.of(q) - 1 + 0 * own))

    def after(q: Node) -> ndarray:
        own, p = track.own(q), track.of(q)
        at_end = track.leaving[p][q.site.state].value if isinstance(q.operation, Carry) else q.value
        return instead(own == track.final - track.first, at_end, of(q, p + 1 + 0 * own))

    def from_end(q: Node) -> ndarray:
        own = track.own(q)
        state = q.site.state
        last = track.picked(track.leaving[0][state], track.final)
        return instead(own == 0, last, of(q, track.of(q) - 1 + 0 * own))

    if not track.is_moving(node):
        return
    yield "of the step before", before
    yield "of the step after", after
    if isinstance(node.operation, Carry):
        yield "of the step before, and the last at the first", from_end
    yield (
        "of the step before, and of the last step at the first",
        lambda q: of(q, np.where(track.own(q) == 0, track.final, track.of(q) - 1)),
    )
    yield "of the first step at every step", lambda q: of(q, track.first)
    yield "of the steps in reverse order", lambda q: of(q, track.first + track.final - track.of(q))


def _before_first(track: Track, node: Node, before: Moment) -> ndarray:
    """Return the value that a node has before the first step; the own one if there is none."""
    states = [state for state, after in track.leaving[track.of(node)].items() if after is node]
    if states:
        return track.entering[0][states[0]].value
    if isinstance(node.operation, Elementwise) and len(node.parents) == 1 and not track.is_given(node):
        return node.operation.apply([before(node.parents[0])], [False])
    return node.value


def _variant(names: Names, j: int, i: int) -> Value:
    return lambda q, _: list(before_function(q.parents[j], names))[i][1]


def _index_0(axis: int) -> Value:
    return lambda _, value: np.broadcast_to(value.take([0], axis), value.shape)


def before_function(node: Node, names: Names) -> Iterator[tuple[str, ndarray]]:
    """Yield values that people take for a node's: the operands of its last function."""
    if names.track.is_given(node):
        return
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
