"""The page of the gallery for any recurrence: each kind of rule that a diagnosis breaks, on one recurrence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from harness.diagnosis.recurrent.alone import Parts
from harness.diagnosis.recurrent.further import further
from harness.diagnosis.recurrent.predicting import predicted
from harness.diagnosis.recurrent.rules import Rule, rules
from harness.diagnosis.recurrent.tracks import taped
from harness.problem.recurrent import build_recurrence
from harness.recurrences import recurrences

NAME = "peephole_lstm"
"""The recurrence that the rules are broken on."""

SEEN = 1e-12
"""Minimum error of a wrong gradient, relative to its largest element."""

KINDS = {
    "dropped": "The gradient into one operand of one operation is left out.",
    "sign": "The gradient into one operand has the wrong sign, as where a difference is taken for a sum.",
    "doubled": "The gradient into one operand is added twice.",
    "factor": "The gradient into one operand of a product misses a factor: that of the other operand, or of a weight.",
    "slope": "The derivative of a function is left out, or is taken by a wrong formula or at a wrong value.",
    "stale": "A value that a product is multiplied by is that of another step, such as `c` for the `c` before it.",
    "other-value": "A value is taken for another one of the same shape, such as one gate for another.",
    "other-gradient": "An operation takes the gradient of another variable of the same shape.",
    "mean": "A sum over sequences, steps or units is a mean.",
    "order": "Two parts of one array are exchanged, such as gates in another order.",
    "branch": "Both branches of a `where` take the whole gradient.",
    "carry": "The gradient of a state is not carried to the step before, or is carried twice or with the wrong sign.",
    "truncation": "The carry of a state is cut every few steps.",
    "last-state": "The gradient by a last state is left out, so that the loss is that of the outputs alone.",
    "upstream": "The gradients by the outputs are left out, reversed in time, or those of another step.",
    "loop": "The backward loop leaves out its first or its last step.",
    "step-weights": "The gradient of a weight is not the sum over all steps.",
}
"""Each kind of rule in words, in the order of the page."""


@dataclass(frozen=True)
class ShownRule:
    """A broken rule of the recurrence.

    Attributes:
        kind: the name of the fault in a diagnosis.
        text: the explanation in a diagnosis.
        errors: the largest error of each gradient, relative to its largest element.
        alike: number of rules of this kind that the recurrence has.
    """

    kind: str
    text: str
    errors: dict[str, float]
    alike: int


@np.errstate(all="ignore")
def shown_rules() -> list[ShownRule]:
    """Break one rule of each kind that the recurrence has, and return what that does; kinds in the order of ``KINDS``.

    Shown is the rule with the shortest sentence among those that change a gradient.
    """
    recurrence = recurrences()[NAME]
    problem = build_recurrence(recurrence.problem().case)
    on_tape = taped(problem.as_dtype(np.float64).sequences)
    there = [*rules(on_tape), *further(on_tape)]
    right = Parts(on_tape).right
    given = predicted(on_tape, [[each] for each in there])
    gradients = [name for name in given if name in right]
    errors = {
        name: np.abs(given[name] - right[name]).reshape(len(there), -1).max(1) / np.abs(right[name]).max()
        for name in gradients
    }
    return [_shown(kind, there, errors) for kind in KINDS if any(each.fault == kind for each in there)]


def _shown(kind: str, there: list[Rule], errors: dict[str, ndarray]) -> ShownRule:
    alike = [row for row, each in enumerate(there) if each.fault == kind]
    seen = [row for row in alike if any(of_all[row] > SEEN for of_all in errors.values())]
    row = min(seen, key=lambda row: len(there[row].text))
    text = there[row].text
    share = {name: float(of_all[row]) for name, of_all in errors.items()}
    return ShownRule(kind, f"{text[0].upper()}{text[1:]}.", share, len(alike))


def page() -> str:
    """Return the page, in Markdown."""
    head = f"""# Any recurrence

A recurrence has no catalogue of its own: the harness records its step, and breaks one rule of the derived backward pass
at a time. A diagnosis names the kind of the rule, and its sentence names the line of your step and the operand. Here
each kind is broken on [`{NAME}`](../../harness/recurrences/{NAME}.py), one rule of many. The tables show the largest
error of each gradient as a share of its largest element. [How a cell is checked](../another-cell.md).
"""
    return "\n".join([head, *_entries()])


def _entries() -> Iterator[str]:
    for each in shown_rules():
        wrong = {name: error for name, error in each.errors.items() if error > SEEN}
        right = [name for name in each.errors if name not in wrong]
        rows = "".join(f"| {name} | {error:.0%} |\n" for name, error in wrong.items())
        stay = f"- **Right:** {', '.join(right)}\n" if right else ""
        yield (
            f"## {each.kind}\n\n{KINDS[each.kind]}\n\n"
            f"```text\nLikely cause: {each.kind}\n  {each.text}\n```\n\n"
            f"| gradient | error |\n| --- | --- |\n{rows}\n{stay}- **Rules of this kind here:** {each.alike}\n"
        )
