"""The rules of a cell's step in the diagnosis of a network: one fault first, and what the catalogue leaves open last.

A rule names a line of the step. It explains an answer if it gives every wrong tensor and changes no right one, with the
evidence that any explanation needs. The layers, directions, lengths and truncation of a network stand on one tape.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy import ndarray

from harness.diagnosis.evidence import Evidence
from harness.diagnosis.explanation import UNEXPLAINED, Diagnosis
from harness.diagnosis.known_as import candidates
from harness.diagnosis.parts import Explanation
from harness.diagnosis.predictions import Predictions
from harness.diagnosis.recurrent.rules import Rule
from harness.diagnosis.search import CHANCE_BITS, Search
from harness.diagnosis.tensor_faults import TENSOR_FAULTS

MOST_SHOWN = 4
"""Maximum of rules that fit alike and are shown."""


FEWEST_STEPS = 3
"""Minimum number of steps in which most rules differ; with fewer the catalogue shows faults that are alike."""


def by_one_rule(evidence: Evidence, predictions: Predictions) -> list[Diagnosis]:
    """Return the rules that each explain every wrong tensor; nothing if there is none."""
    explainer = predictions.explainer
    if explainer is None or explainer.taped.steps < FEWEST_STEPS:
        return []
    tried = 0
    for rules, given in explainer.singly(evidence.off):
        tried += len(rules)
        found: dict[str, Diagnosis] = {}
        for r in _fitting(evidence, given):
            residuals = {name: evidence.fit(name, given[name][r]).residual for name in evidence.off}
            bits = evidence.bits(residuals)
            if bits >= CHANCE_BITS + math.log2(max(tried, 2)):
                found.setdefault(rules[r].text, _diagnosis(rules[r], residuals))
        if found:
            return list(found.values())[:MOST_SHOWN]
    return []


def _fitting(evidence: Evidence, given: Mapping[str, ndarray]) -> list[int]:
    """Return the rows that agree with every number."""
    rows = np.arange(len(next(iter(given.values()))))
    for name in sorted(set(evidence.names) & given.keys(), key=lambda name: given[name][0].size):
        with np.errstate(all="ignore"):
            agreeing = [evidence.residual_if_agrees(name, given[name][r]) is not None for r in rows]
        rows = rows[np.array(agreeing, np.bool_)]
        if not rows.size:
            break
    return [int(r) for r in rows]


def _diagnosis(rule: Rule, residuals: Mapping[str, float]) -> Diagnosis:
    return Diagnosis(rule.fault, f"{rule.text[0].upper()}{rule.text[1:]}.", residuals)


def named(rules: list[Diagnosis], evidence: Evidence, predictions: Predictions) -> list[Explanation]:
    """Return what the catalogue calls rules that explain every wrong tensor; nothing if it has no name for them."""
    texts = [each.explanation.removesuffix(".") for each in rules]
    found = Search(evidence, predictions, {*candidates(texts), *TENSOR_FAULTS}).explanations()
    return [each for each in found if not each.open and len(each.parts) == 1]


def by_rules(evidence: Evidence, predictions: Predictions) -> list[Diagnosis]:
    """Return explanations of gradients tensor by tensor, by one rule or two; nothing if no fault of a step is there."""
    explainer = predictions.explainer
    whole = {name: each for name, each in evidence.actual.items() if name not in evidence.known}
    if explainer is None or evidence.eps or not explainer.is_small:
        return []
    if not all(name in whole and np.isfinite(whole[name]).all() for name in evidence.off):
        return []
    found = explainer.explained(whole, [name for name in whole if name not in evidence.off])
    return [] if all(each.fault == UNEXPLAINED for each in found) else found
