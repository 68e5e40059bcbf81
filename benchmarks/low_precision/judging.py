"""The verdicts of all rules on right answers, and on the same answers with a small fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from harness.derive.operations import Carry, Gather
from harness.derive.reverse import contribution
from harness.derive.tape import Node
from harness.diagnosis.recurrent.predicting import predicted
from harness.diagnosis.recurrent.rules import Place, Rule
from harness.diagnosis.recurrent.tracks import taped
from harness.low_precision.elsewhere import ELSEWHERE
from harness.low_precision.judging import Measured, measured
from harness.low_precision.rounding import Simulation

OURS = "harness"
FACTORS = {"1 %": 1.01, "0.1 %": 1.001}
TERMS = 4
"""Number of terms of a step that are drawn for a fault of each size."""

VISIBLE = 1e-6
"""Minimum change by a fault, relative to a tensor's largest element."""

Answers = Sequence[Mapping[str, ndarray]]


class Fault(NamedTuple):
    """A fault of a right pass.

    Attributes:
        kind: its size and its place, ``1 % of a tensor`` or ``1 % of a term``.
        changes: for each problem the changes that it makes, by tensor.
    """

    kind: str
    changes: list[dict[str, ndarray]]


def verdicts(answers: Answers, simulations: Sequence[Simulation]) -> dict[str, Any]:
    """Return the refusals of a right answer by each rule, on all problems and on the first alone, and our measures."""
    found = measured(answers, simulations)
    judged = [each for each in found if not each.reason.startswith("cannot be judged")]
    numbers = [each for each in judged if not each.reason]
    return {
        "refused": _refusals(judged),
        "refused on one problem": _refusals(measured(answers[:1], simulations[:1])),
        "wrong": {each.tensor: each.faults for each in judged if each.faults},
        "tensors": len(judged),
        "not judged": len(found) - len(judged),
        "largest": max((each.largest for each in numbers), default=0.0),
        "rms": max((each.rms for each in numbers), default=0.0),
        "t": max((abs(each.t) for each in numbers), default=0.0),
    }


def _refusals(found: Sequence[Measured]) -> dict[str, bool]:
    others = {rule: not all(each.elsewhere.get(rule, (False, 0))[0] for each in found) for rule in ELSEWHERE}
    return {OURS: any(each.faults for each in found), **others}


def faults(simulations: Sequence[Simulation], seed: int) -> Iterator[Fault]:
    """Yield a fault of each size for each tensor, and for some terms of the step."""
    for size, factor in FACTORS.items():
        for name in simulations[0].right:
            if name != "loss":
                changes = [{name: (factor - 1) * each.right[name]} for each in simulations]
                yield Fault(f"{size} of a tensor", changes)
    random = np.random.default_rng([seed, 5])
    places = _places(simulations[0])
    chosen = [places[n] for n in random.permutation(len(places))[:TERMS]]
    rows = [(size, place, factor) for size, factor in FACTORS.items() for place in chosen]
    by_problem = [_predicted(each, [_scaled(place, factor) for _, place, factor in rows]) for each in simulations]
    for r, (size, _, _) in enumerate(rows):
        yield Fault(f"{size} of a term", [{name: each[name][r] for name in each} for each in by_problem])


def _places(simulation: Simulation) -> list[Place]:
    nodes = taped(simulation.problem).graph.tape.nodes
    there = [(node.block, node.site, k) for node in nodes for k in _operands(node)]
    return list(dict.fromkeys(there))


def _operands(node: Node) -> list[int]:
    """Return the operands that a gradient goes to; none of an operation that only moves numbers."""
    if node.operation is None or isinstance(node.operation, Carry | Gather):
        return []
    return [k for k, parent in enumerate(node.parents) if parent.operation is not None or parent.name]


def _scaled(place: Place, factor: float) -> Rule:
    def handed(node: Node, g: ndarray) -> ndarray:
        return factor * contribution(node, place[2], g)

    return Rule("scaled", "", {place: handed})


def _predicted(simulation: Simulation, broken: Sequence[Rule]) -> dict[str, ndarray]:
    given = predicted(taped(simulation.problem), [[each] for each in broken])
    return {name: each - simulation.right[name] for name, each in given.items()}


def seen(
    answers: Answers, simulations: Sequence[Simulation], made: Sequence[Fault]
) -> tuple[Counter[str], dict[str, Counter[str]]]:
    """Return the number of faults by kind, and of those that each rule sees on all problems together."""
    count: Counter[str] = Counter()
    caught: dict[str, Counter[str]] = {}
    for fault in made:
        names = [name for name in fault.changes[0] if name in answers[0] and _is_visible(fault, name, simulations)]
        if not names:
            continue
        count[fault.kind] += 1
        faulty = [
            {name: answer[name] + change[name] for name in names}
            for answer, change in zip(answers, fault.changes, strict=True)
        ]
        for rule, refused in _refusals(measured(faulty, simulations)).items():
            caught.setdefault(fault.kind, Counter())[rule] += refused
    return count, caught


def _is_visible(fault: Fault, name: str, simulations: Sequence[Simulation]) -> bool:
    change, right = fault.changes[0][name], simulations[0].right[name]
    return bool(np.abs(change).max(initial=0.0) > VISIBLE * np.abs(right).max(initial=0.0))
