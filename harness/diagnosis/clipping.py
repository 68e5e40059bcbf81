"""Gradients that were clipped or scaled after they were computed, with or without a fault besides.

One limit, or one factor, is fitted over all gradients; the tensors with the most evidence are its own, and it costs as
much evidence as a number holds. A factor that makes the joint norm a round number is a clipped norm.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy import ndarray

from harness.diagnosis.evidence import Evidence
from harness.diagnosis.parts import ExplanationPart
from harness.diagnosis.predictions import Prediction, Tensors
from harness.tensors import kind_of

ROUND = 2e-6
"""Maximum relative distance of a norm from a number of two digits; clip_grad_norm_ adds 1e-6 to the norm."""

FORWARD = ("outputs", "loss")

NORM, FACTOR, LIMIT = "clipped-norm", "factor", "clipped"


def gradients_of(evidence: Evidence) -> list[str]:
    """Return the gradients among the wrong tensors."""
    return [name for name in evidence.off if name not in FORWARD]


def scaled(evidence: Evidence, assumed: Tensors) -> tuple[ExplanationPart, Tensors] | None:
    """Return the factor on every wrong gradient, and the gradients with it; None without one.

    Args:
        evidence: the numbers in question.
        assumed: the tensors before they were scaled.
    """
    names = gradients_of(evidence)
    factor = factor_of(evidence, assumed)
    if len(names) < 2 or factor is None or factor <= 0 or abs(factor - 1) < 1e-3:  # so close to 1, it is noise
        return None
    given = {name: factor * assumed[name] for name in names}
    every = "every wrong gradient" if set(names) < {n for n in evidence.names if n not in FORWARD} else "every gradient"
    text, fault = f"Of {', '.join(names)}, {every} is {factor:.5g} times as large.", FACTOR
    if factor < 1 and (of := _round_norm(evidence, names)):
        text, fault = f"The gradients are scaled to a norm of {of}: each is {factor:.5g} times as large.", NORM
    text = text.replace(f"Of {', '.join(names)}, {every}", every.capitalize())
    return ExplanationPart(fault, text, tuple(names), fitted=1, unlikely=0 if fault == NORM else 2, whole=True), given


def limited(
    evidence: Evidence, candidates: Iterable[Prediction]
) -> Iterator[tuple[Prediction, ExplanationPart, Tensors]]:
    """Yield the predictions with all gradients clipped to one limit afterwards."""
    names = gradients_of(evidence)
    values = [np.abs(known_values(evidence, name)) for name in names]
    limit = max((float(each.max(initial=0.0)) for each in values), default=0.0)
    if not 0 < limit < math.inf or sum(int((each == limit).sum()) for each in values) < 3:
        return
    part = ExplanationPart(LIMIT, f"the right one clipped into ±{limit:.6g}", tuple(names), fitted=1).of(tuple(names))
    for each in candidates:
        assumed = {name: each.changed.get(name, evidence.truth[name]) for name in evidence.off}
        yield each, part, {n: np.clip(t, -limit, limit) if n in names else t for n, t in assumed.items()}


def known_values(evidence: Evidence, name: str) -> ndarray:
    """Return the known elements of a tensor, flat."""
    actual = evidence.actual[name]
    known = evidence.known.get(name)
    values: ndarray = actual.reshape(-1) if known is None else actual[known]
    return values


def factor_of(evidence: Evidence, assumed: Tensors) -> float | None:
    """Return the factor between the numbers and assumed ones, from the gradient with the most elements."""
    names = gradients_of(evidence)
    if not names:
        return None
    name = max(names, key=lambda name: evidence.actual[name].size)
    known = evidence.known.get(name, np.ones(evidence.actual[name].shape, np.bool_))
    predicted = assumed[name][known]
    with np.errstate(all="ignore"):
        factor = float(np.vdot(predicted, evidence.actual[name][known]) / np.vdot(predicted, predicted))
    return factor if math.isfinite(factor) else None


def _round_norm(evidence: Evidence, names: list[str]) -> str:
    """Return the joint norm of some gradients, or of the weights' among them, if it is a round number."""
    of_weights = [name for name in names if kind_of(name) not in ("inputs", "h0", "c0")]
    for chosen in (names, of_weights):
        norm = math.sqrt(sum(float((known_values(evidence, name) ** 2).sum()) for name in chosen))
        rounded = float(f"{norm:.2g}") if math.isfinite(norm) else 0.0
        if rounded and abs(norm - rounded) <= ROUND * max(rounded, 1.0):
            return f"{rounded:g}"
    return ""
