"""Further ways to break a reverse pass, which are tried where no plain rule explains an answer.

A value that is kept from another step wherever it is used, another variable in a product, the gradient of another
variable: there are many more of these than of plain rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy import ndarray

from harness.derive.operations import Carry, Einsum, Elementwise, Gather
from harness.derive.reverse import contribution
from harness.derive.tape import Node, Site
from harness.diagnosis.recurrent.naming import Names
from harness.diagnosis.recurrent.rules import (
    RIGHT_BY_RESULT,
    Handed,
    Moment,
    Place,
    Rule,
    before_function,
    everywhere,
    into_operand,
    moments,
)
from harness.diagnosis.recurrent.tracks import Taped, Track

MULTIPLIED = ("multiply", "divide")


def further(problem: Taped) -> list[Rule]:
    """Return every further rule of a calculation."""
    return everywhere(problem, _of_track)


def _of_track(track: Track, names: Names, problem: Taped) -> Iterator[Rule]:
    every = list(_nodes(track, names))
    variables = [each for each in every if not isinstance(each.operation, Gather)]
    yield from _states(track, names, problem)
    yield from _only_through(names)
    yield from _arguments(track, names)
    yield from _kept(track, names)
    yield from _divided(track, names)
    yield from _expanded(track, names)
    yield from _operands(track, names, variables)
    yield from _other_values(track, names, variables)
    yield from _other_gradients(track, names, every)


def _nodes(track: Track, names: Names) -> Iterator[Node]:
    """Yield one node for each thing that a step has: its operations, its inputs, its weights."""
    yield from (next(iter(at.values())) for at in names.by_site.values())
    yield from (nodes[0] for nodes in track.inputs.values())
    yield from track.weights.values()


def _uses(names: Names, node: Node) -> list[tuple[Site, Node, int]]:
    """Return the places where a node is an operand."""
    return [(site, user, k) for site, user, k, parent in names.operands() if _stands_for(names.track, node, parent)]


def _stands_for(track: Track, node: Node, parent: Node) -> bool:
    if track.is_given(node) or track.is_given(parent):
        return track.is_given(node) and track.is_given(parent) and track.name(parent) == track.name(node)
    return parent.site == node.site


def _states(track: Track, names: Names, problem: Taped) -> Iterator[Rule]:
    """Yield gradients of states that are not computed anew at each step."""
    for site, at in names.by_site.items():
        if not isinstance(at[0].operation, Carry):
            continue
        state = site.state
        text = f"the gradient of the state {state} before a step is taken to be that after it"
        yield Rule("carry", text, sources={(track.block, site, 0): _leaving(track, state)})
        if state in problem.upstream.states:
            text = f"the gradient of the state {state} is at every step that by the last state"
            yield Rule("carry", text, {(track.block, site, 0): _always(problem.upstream.states[state])})


def _always(handed: ndarray) -> Handed:
    return lambda _, g: 0 * g + handed


def _leaving(track: Track, state: str) -> Callable[[Node], Node]:
    after = track.leaving[0][state]
    return lambda q: track.same_at(after, track.of(q), q)


def _only_through(names: Names) -> Iterator[Rule]:
    """Yield gradients that come through one use of a value alone, where it has three or more."""
    for at in names.by_site.values():
        node = next(iter(at.values()))
        uses = _uses(names, node)
        for site, _, k in uses if len(uses) > 2 else ():  # of two, one is left out
            others = {(names.track.block, other, j): _nothing(j) for other, _, j in uses if (other, j) != (site, k)}
            text = f"the gradient by {names.of(node)} comes through `{names.line(site)}` alone"
            yield Rule("dropped", text, others)


def _nothing(k: int) -> Handed:
    return lambda q, g: 0 * contribution(q, k, g)


def _arguments(track: Track, names: Names) -> Iterator[Rule]:
    """Yield slopes at a part of a function's argument."""
    for site, node, _, parent in names.operands():
        if isinstance(node.operation, Elementwise) and len(node.parents) == 1:
            for i, (text, _) in enumerate(before_function(parent, names)):
                slope = f"in `{names.line(site)}`, the slope of the {names.operation(node)} is taken at {text}"
                yield Rule("slope", slope, {(track.block, site, 0): _slope_at_part(names, i)})


def _slope_at_part(names: Names, i: int) -> Handed:
    def handed(q: Node, g: ndarray) -> ndarray:
        assert q.operation is not None
        return q.operation.pull([list(before_function(q.parents[0], names))[i][1]], 0, g)

    return handed


def _kept(track: Track, names: Names) -> Iterator[Rule]:
    """Yield values that are of another step wherever the backward pass uses them."""
    for at in names.by_site.values():
        node = next(iter(at.values()))
        if isinstance(node.operation, Gather):
            continue
        for when, moment in moments(track, node):
            handed = _taken_everywhere(track, names, node, moment)
            own = _slope_at_moment(node, moment)
            if own is not None:
                for part, mixed in MIXED.get(node.operation.name, {}).items():  # type: ignore[union-attr]
                    text = f"in `{names.line(node.site)}`, the slope of the {names.operation(node)} is {part}"
                    text += f", y its result and v that {when}"
                    yield Rule("stale", text, {(track.block, node.site, 0): _mixed_moment(moment, mixed)})
                handed[track.block, node.site, 0] = own
                text = f"in `{names.line(node.site)}`, the slope of the {names.operation(node)} is that {when}"
                yield Rule("stale", text, {(track.block, node.site, 0): own})
            if len(handed) > 1:
                yield Rule("stale", f"{names.of(node)} {when} is taken throughout the backward pass", handed)
    for when in dict(moments(track, next(iter(track.entering[0].values())))) if track.entering[0] else ():
        for what, is_kept in KEPT.items():
            own_places = [(site, k) for site, _, k, _ in names.operands() if not site.state]
            handed = {(track.block, site, k): _all_taken(track, when, is_kept, k) for site, k in own_places}
            yield Rule("stale", f"all that the forward pass keeps{what} is taken {when}", handed)


def _mixed_moment(moment: Moment, formula: Callable[[ndarray, ndarray], ndarray]) -> Handed:
    return lambda q, g: np.asarray(g * formula(q.value, moment(q)))


IsKept = Callable[[Track, Node, Node], bool]
"""Returns whether an operation reads an operand among what the forward pass kept."""

KEPT: dict[str, IsKept] = {
    "": lambda track, q, parent: not track.is_given(parent) or len(q.parents) == 1,
    " and its inputs to functions": lambda track, q, parent: (
        not track.is_given(parent) or isinstance(q.operation, Elementwise)
    ),
    " beside the states": lambda track, q, parent: (
        (not track.is_given(parent) or len(q.parents) == 1)
        and not isinstance(parent.operation, Carry)
        and all(parent.site != after.site for after in track.leaving[0].values())
    ),
}
"""Ways in which a forward pass keeps values: with the inputs that functions take, or without the states."""


def _all_taken(track: Track, when: str, is_kept: IsKept, k: int) -> Handed:
    def handed(q: Node, g: ndarray) -> ndarray:
        values = []
        for parent in q.parents:
            there = dict(moments(track, parent)) if is_kept(track, q, parent) else {}
            values.append(there[when](parent) if when in there else parent.value)
        assert q.operation is not None
        return q.operation.pull(values, k, g)

    return handed


def _divided(track: Track, names: Names) -> Iterator[Rule]:
    """Yield a division where a product should be."""
    for site, node, k, parent in names.operands():
        assert node.operation is not None
        if node.operation.name == "multiply":
            other = names.of(node.parents[1 - k])
            text = (
                f"in `{names.line(site)}`, the gradient into {names.of(parent)} is divided by {other}, not multiplied"
            )
            yield Rule("factor", text, {(track.block, site, k): _with(1 - k, k, lambda operand: 1 / operand.value)})
        elif isinstance(node.operation, Elementwise) and len(node.parents) == 1:
            text = f"in `{names.line(site)}`, the gradient is divided by the slope of the {names.operation(node)}"
            yield Rule("slope", text, {(track.block, site, 0): _by_slope})


def _expanded(track: Track, names: Names) -> Iterator[Rule]:
    """Yield a factor that is missing on the way to one operand alone, as where a formula is written out for each."""
    for site, node, k, _ in names.operands():
        if node.operation is not None and node.operation.name == "divide" and k == 1:
            text = f"{into_operand(names, node, k)} is divided by the divisor once, not by its square"
            yield Rule("factor", text, {(track.block, site, k): _by_divisor})
        uses = _uses(names, node)
        if len(uses) != 1 or len(node.parents) < 2:  # of one operand, the factor is missing as a whole
            continue
        _, user, j = uses[0]
        if isinstance(user.operation, Elementwise) and user.operation.name in MULTIPLIED and user.shape == node.shape:
            outer = user.parents[1 - j]
            divides = user.operation.name == "divide"
            if (outer.operation is not None or outer.name) and not (divides and j == 1):
                text = (
                    f"{into_operand(names, node, k)} misses the {'divisor' if divides else 'factor'} {names.of(outer)}"
                )
                yield Rule("factor", text, {(track.block, site, k): _without(user, 1 - j, k, names, divides=divides)})


def _by_divisor(q: Node, g: ndarray) -> ndarray:
    return contribution(q, 1, g * q.parents[1].value)


def _without(user: Node, j: int, k: int, names: Names, *, divides: bool) -> Handed:
    """Return what an operation hands over if its result were not multiplied, or divided, by operand j of its use."""

    def handed(q: Node, g: ndarray) -> ndarray:
        outer = names.by_site[user.site][names.track.of(q)].parents[j].value
        return contribution(q, k, g * outer if divides else g / outer)

    return handed


def _by_slope(q: Node, g: ndarray) -> ndarray:
    assert isinstance(q.operation, Elementwise)
    return np.asarray(g / q.operation.slope_by([q.parents[0].value], 0))


def _taken_everywhere(track: Track, names: Names, node: Node, moment: Moment) -> dict[Place, Handed]:
    """Return what each use of a node hands to its other operands with another value of the node."""
    found: dict[Place, Handed] = {}
    for site, user, j in _uses(names, node):
        if isinstance(user.operation, Einsum) or user.operation.name in MULTIPLIED:  # type: ignore[union-attr]
            for k, other in enumerate(user.parents):
                if (k != j or user.operation.name == "divide") and (other.operation is not None or other.name):  # type: ignore[union-attr]
                    found[track.block, site, k] = _with(j, k, moment)
    return found


def _with(j: int, k: int, moment: Moment) -> Handed:
    def handed(q: Node, g: ndarray) -> ndarray:
        values = [each.value for each in q.parents]
        values[j] = moment(q.parents[j])
        assert q.operation is not None
        return q.operation.pull(values, k, g)

    return handed


def _slope_at_moment(node: Node, moment: Moment) -> Handed | None:
    """Return the slope of a function at its value of another step; None for what is no such function."""
    operation = node.operation
    if not isinstance(operation, Elementwise) or len(node.parents) != 1:
        return None
    if formula := RIGHT_BY_RESULT.get(operation.name):
        return lambda q, g: np.asarray(g * formula(moment(q)))
    if node.parents[0].operation is None and not node.parents[0].name:
        return None
    return lambda q, g: np.asarray(g * operation.slope_by([moment(q.parents[0])], 0))


def _operands(track: Track, names: Names, variables: list[Node]) -> Iterator[Rule]:
    """Yield products in which an operand of an operand is of another step, or another variable."""
    for site, node, k, _ in names.operands():
        assert node.operation is not None
        if not (isinstance(node.operation, Einsum) or node.operation.name in MULTIPLIED):
            continue
        for j, other in enumerate(node.parents):
            if j == k:
                continue
            inner = other.parents[0] if isinstance(other.operation, Gather) and len(other.parents) == 1 else other
            if track.is_given(other) or track.is_given(inner):
                continue
            if not isinstance(inner.operation, Elementwise) or len(inner.parents) < 2:
                continue
            for i, part in enumerate(inner.parents):
                taken = [(f"{names.of(part)} {when}", moment) for when, moment in moments(track, part)]
                for variable in variables if part.operation is not None or part.name else ():
                    if variable.shape == part.shape and not _stands_for(track, variable, part):
                        text = f"{names.of(variable)} for {names.of(part)}"
                        taken.append((text, _value_of(track, variable)))
                for text, moment in taken:
                    into = into_operand(names, node, k)
                    text = f"{into} takes {text} in {names.of(inner)}"
                    yield Rule("other-value", text, {(track.block, site, k): _with_inner(j, k, i, moment)})


def _with_inner(j: int, k: int, i: int, moment: Moment) -> Handed:
    def handed(q: Node, g: ndarray) -> ndarray:
        other = q.parents[j]
        inner = other.parents[0] if isinstance(other.operation, Gather) else other
        parts = [each.value for each in inner.parents]
        parts[i] = moment(inner.parents[i])
        assert inner.operation is not None
        assert other.operation is not None
        assert q.operation is not None
        value = inner.operation.apply(parts, [False] * len(parts))
        values = [each.value for each in q.parents]
        values[j] = value if inner is other else other.operation.apply([value], [False])
        return q.operation.pull(values, k, g)

    return handed


def _other_values(track: Track, names: Names, variables: list[Node]) -> Iterator[Rule]:
    """Yield products, and slopes, with another variable of the same shape."""
    for site, node, k, _ in names.operands():
        assert node.operation is not None
        line = names.line(site)
        if isinstance(node.operation, Elementwise) and len(node.parents) == 1:
            formula = RIGHT_BY_RESULT.get(node.operation.name)
            for variable in variables if formula else ():
                if variable.shape == node.shape and variable is not node:
                    text = (
                        f"in `{line}`, the slope of the {names.operation(node)} is computed from {names.of(variable)}"
                    )
                    yield Rule("other-value", text, {(track.block, site, 0): _slope_of(track, variable, formula)})
                    for part, mixed in MIXED.get(node.operation.name, {}).items():
                        mixing = f"{text} as {part}, y its result and v that"
                        yield Rule("other-value", mixing, {(track.block, site, 0): _mixed(track, variable, mixed)})
        if isinstance(node.operation, Einsum) or node.operation.name in MULTIPLIED:
            for j, other in enumerate(node.parents):
                for variable in variables if j != k and (other.operation is not None or other.name) else ():
                    if variable.shape == other.shape and not _stands_for(track, variable, other):
                        into = into_operand(names, node, k)
                        text = f"{into} takes {names.of(variable)} for {names.of(other)}"
                        yield Rule(
                            "other-value", text, {(track.block, site, k): _with(j, k, _value_of(track, variable))}
                        )


def _value_of(track: Track, variable: Node) -> Moment:
    return lambda operand: track.same_at(variable, track.of(operand)).value


MIXED: dict[str, dict[str, Callable[[ndarray, ndarray], ndarray]]] = {
    "sigmoid": {"y (1 - v)": lambda y, v: y * (1 - v), "v (1 - y)": lambda y, v: v * (1 - y)},
    "tanh": {"1 - y v": lambda y, v: 1 - y * v},
}
"""Slopes in which another variable v stands for the result y once."""


def _mixed(track: Track, variable: Node, formula: Callable[[ndarray, ndarray], ndarray]) -> Handed:
    return lambda q, g: np.asarray(g * formula(q.value, track.same_at(variable, track.of(q)).value))


def _slope_of(track: Track, variable: Node, formula: Callable[[ndarray], ndarray] | None) -> Handed:
    assert formula is not None
    return lambda q, g: np.asarray(g * formula(track.same_at(variable, track.of(q)).value))


def _other_gradients(track: Track, names: Names, variables: list[Node]) -> Iterator[Rule]:
    """Yield operations that take the gradient of another variable of their result's shape."""
    last = track.steps - 1
    places: dict[Site, list[int]] = {}
    nodes: dict[Site, Node] = {}
    for site, node, k, _ in names.operands():
        places.setdefault(site, []).append(k)
        nodes[site] = node
    for site, node in nodes.items():
        if isinstance(node.operation, Carry):
            continue
        for variable in variables:
            if track.is_given(variable) or isinstance(variable.operation, Carry) or variable.shape != node.shape:
                continue
            uses = [names.by_site[user][last].index for user, _, _ in _uses(names, variable) if not user.state]
            if variable.site == site or min(uses, default=0) <= names.by_site[site][last].index:
                continue  # its gradient is not known yet where this operation is reached
            source = _node_at(track, variable)
            own = [(track.block, site, k) for k in places[site]]
            takes = f"in `{names.line(site)}`, the {names.operation(node)} takes the gradient by {names.of(variable)}"
            yield Rule("other-gradient", takes, sources=dict.fromkeys(own, source))
            for k in places[site] if len(places[site]) > 1 else ():
                text = f"{takes}, for {names.of(node.parents[k])} alone"
                yield Rule("other-gradient", text, sources={(track.block, site, k): source})


def _node_at(track: Track, variable: Node) -> Callable[[Node], Node]:
    return lambda q: track.same_at(variable, track.of(q), q)
