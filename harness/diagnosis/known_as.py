"""The names that the catalogue may have for a broken rule of a step: those of built-in cells, by the words of the rule.

A name is a candidate: the fault is committed, and counts if its numbers are the ones in question.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

NAMES: dict[str, str] = {
    r"slope of the \w+ is left out": "slope-missing slope-of-another-activation",
    r"counted twice|wrong sign|is a mean": "upstream-scaled loss-scaled squared-error-halved",
    r"as 1 - y² of its result": "slope-of-another-activation",
    r"as if that were its result": "slope-formula-at-pre-activation slope-at-cell",
    r"slope of the \w+ is taken at its result": "slope-of-the-value",
    r"slope of the \w+ is computed from": "slope-at-cell slope-formula-at-pre-activation",
    r"slope of the \w+ is taken twice": "slope-twice",
    r"as 1 - y of its result": "slope-not-squared",
    r"slope of the \w+ is its value": "slope-is-value",
    r"divided by the slope": "slope-divided",
    r"leaves out the first step$": "first-step-left-out initial-state-left-out readout-overwritten",
    r"leaves out the last step$": "last-step-left-out readout-overwritten",
    r"has the first step alone": "accumulator-overwritten readout-overwritten",
    r"has the last step alone": "last-step-only readout-overwritten",
    r"gradients by the outputs are taken": "upstream-of-last-step-only upstream-steps-reversed upstream-one-step-late",
    r"gradients by the outputs": "upstream-scaled upstream-step-missing uncovered-steps-too",
    r"not carried back": "carry-not-added carry-missing cell-replaced cell-not-carried detached-at-every-step",
    r"by a layer's outputs": "below-gets-last-step-only below-reversed below-gets-nothing below-gets-top",
    r"is cut every|not carried back": (
        "detached detached-from-the-end truncated layers-truncated chunks-shifted last-steps-only-connected"
    ),
    r"carried back twice": "cell-carried-twice",
    r"before a step is taken to be": "carry-without-weights cell-carried-without-forget-gate handed-on-before-slope",
    r"into the state h": (
        "carry-untransposed carry-through-input-weights carry-through-first-layer carry-missing carry-without-weights "
        "no-gate-carried gate-not-carried gate-alone-carried direct-path-missing direct-path-with-another-factor "
        "candidate-without-reset detached-at-every-step truncated"
    ),
    r"into the state c": "cell-not-carried cell-carried-without-forget-gate cell-carried-through-another-step",
    r"into x ": ("inputs-untransposed inputs-through-recurrent-weights inputs-through-reset below-gets-nothing"),
    r"into W_hh": (
        "state-after-for-state-before initial-state-left-out state-two-steps-before state-before-first-from-end "
        "state-before-first-is-first state-before-overwritten candidate-without-reset"
    ),
    r"into W_xh": "own-state-for-input input-of-another-step",
    r"into i ": "input-gate-with-another-factor gate-gradient-missing",
    r"into f ": (
        "forget-gate-with-another-factor gate-gradient-missing cell-two-steps-before cell-before-first-from-end"
    ),
    r"into g ": "candidate-with-another-factor gate-gradient-missing",
    r"into o ": "output-gate-with-another-factor gate-gradient-missing",
    r"into c |into the tanh": "cell-from-state-without-factor cell-from-state-twice tanh-of-cell-before",
    r"into (z|the subtract|the add)": "update-gate-with-another-factor gate-gradient-missing",
    r"into n ": "new-state-with-another-factor gate-gradient-missing",
    r"into (r |the first add|the matmul|the (first|second) part)": (
        "reset-gate-with-another-factor gate-gradient-missing candidate-without-reset "
        "reset-product-with-another-factor recurrent-candidate-not-transposed reset-gate-without-slope-of-candidate"
    ),
    r"into the multiply": "reset-product-with-another-factor recurrent-candidate-not-transposed",
    r"into the (first |second |third |fourth )?part of": "gate-gradient-missing",
    r"parts of \w+ in .* are exchanged": "gates-stacked-in-another-order",
    r"(forward|reverse) direction alone|reverse alone": (
        "inputs-of-one-direction upstream-directions-swapped reverse-gradient-in-forward-order "
        "reverse-inputs-gradient-not-realigned"
    ),
    r"backward loop leaves out": "last-step-skipped first-step-skipped upstream-step-missing",
    r"`y = h @ W": (
        "upstream-twice readout-untransposed readout-state-of-step-before readout-overwritten readout-of-pre-activation"
    ),
}
"""For words of a rule, the faults that it may be."""


def candidates(texts: Iterable[str]) -> set[str]:
    """Return the names of the faults of the catalogue that rules may be, by the rules' words."""
    found: set[str] = set()
    for text in texts:
        for words, names in NAMES.items():
            if re.search(words, text):
                found |= set(names.split())
    return found
