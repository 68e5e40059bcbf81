"""A diagnosis: the explanation of the numbers, or the first wrong one if nothing explains them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import numpy as np
from numpy import ndarray

from harness.diagnosis.by_rule import by_one_rule, by_rules, named
from harness.diagnosis.committing import network_with
from harness.diagnosis.constants import Nearly, nearly_right
from harness.diagnosis.evidence import WHOLE, Evidence, InPart, gather
from harness.diagnosis.explanation import UNEXPLAINED, Diagnosis
from harness.diagnosis.faults import Suspect
from harness.diagnosis.finite import not_finite, where_not_finite, without
from harness.diagnosis.misshapen import misshapen
from harness.diagnosis.onset import gates_off, in_words, onset, proven_onset
from harness.diagnosis.parts import Explanation, ExplanationPart
from harness.diagnosis.precision import EPS, computed_in, digits_of, lower_precision
from harness.diagnosis.predictions import Predictions
from harness.diagnosis.search import Search
from harness.diagnosis.stages import Stages, joined

MOST_SHOWN = 5

AROUND = 4.0
"""Factor of the error of a forward pass that is nearly right, at which the gradients are compared."""


def diagnose(
    actual: Mapping[str, ndarray],
    predictions: Predictions,
    *,
    in_part: InPart = WHOLE,
    matching: Collection[str] = (),
    likely: Collection[str] = (),
    thorough: bool = True,
) -> list[Diagnosis]:
    """Explain what is wrong with an implementation's tensors.

    Args:
        actual: the returned canonical tensors; any subset.
        predictions: of the problem.
        in_part: the known part of the tensors.
        matching: the tensors that were judged a match already; they are not reported.
        likely: the names of faults to try first; if they explain everything, no others are tried.
        thorough: whether faults are also tried in pairs, which takes the most time.

    Returns:
        A diagnosis for each tensor of a wrong shape, and one for NaN and infinity. Then the explanations of all
        other wrong tensors, the best first, and ``unexplained`` for the tensors that none explains. Empty if nothing
        is wrong.
    """

    def against(truth: Mapping[str, ndarray], actual: Mapping[str, ndarray], known: Mapping[str, ndarray]) -> Evidence:
        return at_precision(truth, actual, known, 0.0)

    def at_precision(
        truth: Mapping[str, ndarray], actual: Mapping[str, ndarray], known: Mapping[str, ndarray], eps: float
    ) -> Evidence:
        found = gather(
            actual,
            truth,
            predictions.noise,
            dtype=predictions.problem.case.dtype,
            tolerance=predictions.problem.case.tolerance,
            in_part=replace(in_part, known=known, eps=eps),
        )
        return replace(found, off=tuple(name for name in found.off if name not in matching))

    def explained(actual: Mapping[str, ndarray], known: Mapping[str, ndarray]) -> list[Diagnosis]:
        numbers = lambda truth, eps: at_precision(truth, actual, known, eps)  # noqa: E731
        return _explained(numbers, predictions, likely, thorough=thorough)

    evidence = against(predictions.truth, actual, in_part.known)
    of_shape = misshapen(evidence)
    places = not_finite(evidence)
    found = explained(actual, in_part.known) if evidence.off else []
    if not places:
        return [*of_shape, *found]
    of_places = where_not_finite(evidence.actual, places)
    if not any(each.fault == UNEXPLAINED for each in found):  # except for a fault that overflows
        return [*of_shape, *found, of_places]
    left = without(places, actual, in_part.known)
    found = explained(*left) if against(predictions.truth, *left).off else []
    return [*of_shape, of_places, *found]


def _explained(
    at_precision: Callable[[Mapping[str, ndarray], float], Evidence],
    predictions: Predictions,
    likely: Collection[str],
    *,
    thorough: bool,
) -> list[Diagnosis]:
    """Explain the wrong tensors: the best explanation first, then the open tensors; or report that nothing fits.

    Numbers with the digits of a narrower dtype are compared at its precision. A small constant in the forward pass is
    taken for granted.
    """
    dtype = predictions.problem.case.dtype
    evidence, note, eps = at_precision(predictions.truth, 0.0), "", 0.0
    if narrow := digits_of(evidence.actual, dtype):
        eps = EPS[narrow]
        if not at_precision(predictions.truth, eps).off:
            residuals = {name: evidence.fit(name, evidence.truth[name]).residual for name in evidence.off}
            return [Diagnosis("lower-precision", computed_in(narrow, max(residuals.values())), residuals)]
        evidence, note = at_precision(predictions.truth, eps), f"the numbers have the digits of {narrow}; "

    def against(truth: Mapping[str, ndarray]) -> Evidence:
        return at_precision(truth, eps)

    near = None if narrow else nearly_right(evidence, predictions)
    if near is not None:
        if near.predictions is None:  # of unknown place: a precision
            eps = AROUND * near.error
        else:
            predictions = near.predictions
        evidence = against(predictions.truth)
        if not evidence.off:
            return [_told(Explanation((near.settled,)), "")]
    start = note + first_off(evidence, predictions)
    found = Search(evidence, predictions, likely).explanations() if likely else []
    rules = by_one_rule(evidence, predictions) if not found else []
    if rules and not (found := named(rules, evidence, predictions)):
        return [replace(each, start=start) for each in rules]
    if not found:
        found = Stages(against, thorough=thorough).explanations(predictions)
    if not found or found[0].open:
        left = len(found[0].open) if found else len(evidence.off)
        by_step = by_rules(evidence, predictions)
        if by_step and sum(len(each.tensors) for each in by_step if each.fault == UNEXPLAINED) < left:
            return [replace(each, start=each.start or start) for each in by_step]
    # The same faults in another order are the same explanation.
    distinct = {frozenset(_sentence(part) for part in each.parts): each for each in reversed(found)}
    # More faults than are needed may undo each other.
    found = [each for each in found if each in distinct.values() and len(each.parts) == len(found[0].parts)]
    if found and found[0].open:  # another with the same open tensors may contain a fault of them alone
        found = found[:1]
    told = [_told(_on(near, each), start) for each in found]
    if told and not told[0].declare:  # the numbers also fit an intention that a case can declare
        told[0] = replace(told[0], declare=next((each.declare for each in told if each.declare), ""))
    if rules:
        start = f"{start}; {rules[0].explanation[0].lower()}{rules[0].explanation[1:-1]}"
    told = [
        replace(each, start=start if explanation.open else f"{start}{_begun(predictions, explanation.suspects)}")
        for each, explanation in zip(told[:MOST_SHOWN], found, strict=False)
    ]
    if near is not None and not told:
        told = [_told(Explanation((near.settled,)), start)]
    if found and found[0].open:
        granted = Predictions(predictions.problem, predictions.noise, (*predictions.base, *found[0].suspects))
        on_top = against(granted.truth)
        there = all(on_top.wrong(name).any() for name in found[0].open)
        told.append(_left_open(found[0].open, *((on_top, granted) if there else (evidence, predictions))))
    elif not found and near is not None:
        told.append(_left_open(evidence.off, evidence, predictions))
    return told or [_without_fault(evidence, start, dtype)]


def _on(near: Nearly | None, explanation: Explanation) -> Explanation:
    """Return an explanation with the constant that was taken for granted."""
    return explanation if near is None else joined(near.settled, explanation)


def _without_fault(evidence: Evidence, start: str, dtype: str) -> Diagnosis:
    """Report that the numbers have fewer digits, if they show it, else that nothing explains them."""
    residuals = {name: evidence.fit(name, evidence.truth[name]).residual for name in evidence.off}
    worst = max(residuals.values())
    if rounded := lower_precision([evidence.actual[name] for name in evidence.off if name != "loss"], worst, dtype):
        return Diagnosis("lower-precision", rounded, residuals)
    return Diagnosis(UNEXPLAINED, f"unexplained; {start}", residuals, start)


def _left_open(names: tuple[str, ...], evidence: Evidence, predictions: Predictions) -> Diagnosis:
    residuals = {name: evidence.fit(name, evidence.truth[name]).residual for name in names}
    start = first_off(replace(evidence, off=names), predictions)
    return Diagnosis(UNEXPLAINED, f"unexplained: {', '.join(names)}; {start}", residuals, start)


def first_off(evidence: Evidence, predictions: Predictions) -> str:
    """Return the first wrong number, in the order of the computation: forward, then back."""
    off = evidence.off
    if "outputs" in off:
        wrong = evidence.wrong("outputs")  # (B, T, O)
        t = int(np.argmax(wrong.any(axis=(0, 2))))
        b, o = (int(i[0]) for i in np.nonzero(wrong[:, t]))
        return f"first wrong output: step {t}, sequence {b}, output {o} (counted from 0)"
    if "loss" in off:
        return "the loss is wrong" + ("; the outputs are right" if "outputs" in evidence.actual else "")
    forward = "the forward pass is right; " if {"outputs", "loss"} & set(evidence.names) else ""
    for name in ("readout.b_y", "readout.W_hy"):
        if name in off:
            return f"{forward}first wrong gradient: {name}"
    for n in reversed(range(predictions.problem.structure.layers)):
        wrong_names = [name for name in off if name.startswith(f"layer{n}.")]  # both directions, if it has two
        if wrong_names:
            where = f"{', '.join(wrong_names)}{_columns(evidence, predictions, n, wrong_names)}"
            first = f"first wrong gradient{'' if len(wrong_names) == 1 else 's'}"
            return f"{forward}{first}: {where}{_latest(evidence, predictions, n)}"
    return f"{forward}first wrong gradient: inputs{_latest(evidence, predictions, 0)}"


def _columns(evidence: Evidence, predictions: Predictions, n: int, off: list[str]) -> str:
    """Name the gates with wrong columns, if the columns of others are right."""
    if not predictions.network.layers or not predictions.network.layers[n].recursions:  # not in parts
        return ""
    layer = predictions.network.layers[n]
    weights = [weight for weight in layer.products(layer.delta) if f"layer{n}.{weight}" in off]
    gates = gates_off(layer, f"layer{n}", weights, evidence)
    return f", in the columns of {in_words(gates)}" if weights and 0 < len(gates) < len(layer.gates) else ""


def _latest(evidence: Evidence, predictions: Predictions, n: int) -> str:
    """Return the last step with a wrong gradient of the inputs: with one direction, the way back reaches the last step
    first.
    """
    if predictions.problem.structure.directions == 2 or n != 0 or "inputs" not in evidence.off:
        return ""
    steps: ndarray = np.any(evidence.wrong("inputs"), axis=(0, 2))  # (T,)
    t = int(np.nonzero(steps)[0][-1])
    later = "" if t == len(steps) - 1 else "; at later steps the gradient of the inputs is right"
    layers = predictions.network.layers
    gates = proven_onset(predictions.network, evidence, t) if layers and layers[0].recursions else ""
    return f", at step {t} (counted from 0){gates}{later}"


def _begun(predictions: Predictions, suspects: tuple[Suspect, ...]) -> str:
    """Return the layer, step and gates at which faults of a gated cell's recursion first show."""
    if (
        not suspects
        or not predictions.network.layers
        or predictions.problem.structure.cell == "rnn"
        or any(each.fault.alters_forward for each in suspects)
    ):
        return ""
    faulty = network_with(predictions.network, suspects)
    with np.errstate(all="ignore"):
        faulty.tensors()
    where = onset(predictions.network, faulty) if all(layer.recursions for layer in faulty.layers) else ""
    return f"; with this fault the recursion first goes wrong {where}" if where else ""


def _told(explanation: Explanation, start: str) -> Diagnosis:
    parts = sorted(explanation.parts, key=_in_order)
    names = list(dict.fromkeys(part.fault for part in parts))
    declared = "; ".join(part.declare for part in parts if part.declare)
    text = " And: ".join(_sentence(part) for part in parts)
    return Diagnosis(" + ".join(names), text, explanation.residuals, start, declared)


def _in_order(part: ExplanationPart) -> tuple[bool, bool, str]:
    """Order faults: of the forward pass first, then of the backward pass, then of single tensors."""
    return part.suspect is None or not part.suspect.fault.alters_forward, part.suspect is None, part.fault


def _sentence(part: ExplanationPart) -> str:
    if not part.tensors or part.whole:
        return part.text
    verb = "is" if len(part.tensors) == 1 else "are each"
    return f"{', '.join(part.tensors)} {verb} {part.text}."
