"""A diagnosis: what explains the numbers, or where they are first off if nothing does."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy import ndarray

from harness.diagnosis.committing import network_with
from harness.diagnosis.evidence import Evidence, gather
from harness.diagnosis.explanation import UNEXPLAINED, Diagnosis
from harness.diagnosis.faults import Suspect
from harness.diagnosis.onset import gates_off, in_words, onset, proven_onset
from harness.diagnosis.parts import Explanation, Part
from harness.diagnosis.predictions import Predictions
from harness.diagnosis.search import Search
from harness.tolerance import largest_magnitude

MOST_SHOWN = 5


def diagnose(
    actual: Mapping[str, ndarray],
    predictions: Predictions,
    *,
    known: Mapping[str, ndarray] | None = None,
    digits: Mapping[str, ndarray] | None = None,
    likely: Collection[str] = (),
    thorough: bool = True,
) -> list[Diagnosis]:
    """Explain what is wrong with an implementation's tensors.

    Args:
        actual: what it returned, in canonical tensors; any subset.
        predictions: of the problem.
        known: which elements are known, where not all are.
        digits: how far an element may be off because of the digits that were printed, absolute.
        likely: the names of faults to try first; if they explain everything, no others are tried.
        thorough: whether faults that have to be tried in pairs are; that takes the most time.

    Returns:
        The explanations, the best first; one that says where the numbers are first off if none fits; nothing if
        nothing is off.
    """
    evidence = gather(
        actual,
        predictions.truth,
        predictions.noise,
        dtype=predictions.problem.case.dtype,
        known=known,
        digits=digits,
    )
    if not evidence.off:
        return _misshapen(evidence)
    start = first_off(evidence, predictions)
    found = Search(evidence, predictions, likely).explanations() if likely else []
    found = found or Search(evidence, predictions, thorough=thorough).explanations()
    told = [_told(each, start) for each in found]
    suspects = {(t.fault, t.explanation): each.suspects for t, each in zip(told, found, strict=True)}
    unique = {(each.fault, each.explanation): each for each in reversed(told)}
    told = [each for each in told if unique.get((each.fault, each.explanation)) is each]
    if told and not told[0].declare:  # the numbers are as well those of what a case can declare
        told[0] = replace(told[0], declare=next((each.declare for each in told if each.declare), ""))
    told = [
        replace(each, start=f"{start}{_begun(predictions, suspects[each.fault, each.explanation])}")
        for each in told[:MOST_SHOWN]
    ]
    if not told and (rounded := _lower_precision(evidence, predictions.problem.case.dtype)):
        told = [rounded]
    if not told:
        off_by = {name: evidence.fit(name, evidence.truth[name]).residual for name in evidence.off}
        told = [Diagnosis(UNEXPLAINED, f"unexplained; {start}", off_by, start)]
    return [*_misshapen(evidence), *told]


def first_off(evidence: Evidence, predictions: Predictions) -> str:
    """Say where the numbers are first off: in the order in which they are computed, forward and then back."""
    off = evidence.off
    if "outputs" in off:
        wrong = evidence.wrong("outputs")  # (B, T, O)
        t = int(np.argmax(wrong.any(axis=(0, 2))))
        b, o = (int(i[0]) for i in np.nonzero(wrong[:, t]))
        return f"first off at the outputs: step {t}, sequence {b}, output {o} (counted from 0)"
    if "loss" in off:
        return "first off at the loss" + ("; the outputs are right" if "outputs" in evidence.actual else "")
    forward = "the forward pass is right; " if {"outputs", "loss"} & set(evidence.names) else ""
    for name in ("readout.b_y", "readout.W_hy"):
        if name in off:
            return f"{forward}first off on the way back at the readout: {name}"
    for n in reversed(range(predictions.problem.structure.layers)):
        wrong_names = [name for name in off if name.startswith(f"layer{n}.")]  # of both its directions, if it has two
        if wrong_names:
            where = f"{', '.join(wrong_names)}{_columns(evidence, predictions, n, wrong_names)}"
            return f"{forward}first off on the way back in layer{n}: {where}{_latest(evidence, predictions, n)}"
    return f"{forward}first off at the gradient of the inputs{_latest(evidence, predictions, 0)}"


def _columns(evidence: Evidence, predictions: Predictions, n: int, off: list[str]) -> str:
    """Name the gates whose columns are off, if those of others are right."""
    if not predictions.network.layers:  # they are whole
        return ""
    layer = predictions.network.layers[n]
    weights = [weight for weight in layer.products(layer.delta) if f"layer{n}.{weight}" in off]
    gates = gates_off(layer, f"layer{n}", weights, evidence)
    return f", in the columns of {in_words(gates)}" if weights and 0 < len(gates) < len(layer.gates) else ""


def _latest(evidence: Evidence, predictions: Predictions, n: int) -> str:
    """Up to which step the inputs' gradient is off: in one direction the way back reaches the last step first."""
    if predictions.problem.structure.directions == 2 or n != 0 or "inputs" not in evidence.off:
        return ""
    steps: ndarray = np.any(evidence.wrong("inputs"), axis=(0, 2))  # (T,)
    t = int(np.nonzero(steps)[0][-1])
    later = "" if t == len(steps) - 1 else "; at later steps the gradient of the inputs is right"
    gates = proven_onset(predictions.network, evidence, t) if predictions.network.layers else ""
    return f", at step {t} (counted from 0){gates}{later}"


def _begun(predictions: Predictions, suspects: tuple[Suspect, ...]) -> str:
    """Say in which layer, step and gates faults of a gated cell's recursion begin to show."""
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
    where = onset(predictions.network, faulty) if all(layer.runs for layer in faulty.layers) else ""
    return f"; with this fault the recursion is first off {where}" if where else ""


def _told(explanation: Explanation, start: str) -> Diagnosis:
    names = list(dict.fromkeys(part.fault for part in explanation.parts))
    texts = [_sentence(part) for part in explanation.parts]
    text = texts[0] if len(texts) == 1 else " And: ".join(texts)
    declared = "; ".join(part.declare for part in explanation.parts if part.declare)
    return Diagnosis(" + ".join(names), text, explanation.residuals, start, declared)


def _sentence(part: Part) -> str:
    if not part.tensors:
        return part.text
    verb = "is" if len(part.tensors) == 1 else "are each"
    return f"{', '.join(part.tensors)} {verb} {part.text}."


def _misshapen(evidence: Evidence) -> list[Diagnosis]:
    """Explain tensors of a wrong shape, as far as another shape of the right numbers explains them."""
    return [each for name, given in evidence.misshapen.items() for each in _reshaped(name, given, evidence.truth[name])]


def _reshaped(name: str, given: ndarray, right: ndarray) -> Iterator[Diagnosis]:
    shapes = f"it has shape {given.shape}, and should have {right.shape}"
    ways: list[tuple[str, str, ndarray, ndarray]] = []
    if right.ndim == 2:
        ways.append(("wrong-shape", f"{name} is the right one transposed: {shapes}.", given, right.T))
    if right.ndim == 3:
        ways.append(("wrong-shape", f"{name} is the right one with time first: {shapes}.", given, right.swapaxes(0, 1)))
    if given.size == right.size:
        ways.append(("wrong-shape", f"{name} has the right numbers: {shapes}.", given.reshape(right.shape), right))
    for axis in range(given.ndim):
        text = f"{name} is not summed over axis {axis}: {shapes}; its sum is the right one."
        ways.append(("not-summed", text, given.sum(axis=axis), right))
    for fault, text, numbers, expected in ways:
        scale = largest_magnitude(expected) or 1.0
        if numbers.shape == expected.shape:
            residual = float(np.abs(numbers - expected).max() / scale)
            if residual <= 64 * _eps(given):
                yield Diagnosis(fault, text, {name: residual})
                return


def _lower_precision(evidence: Evidence, dtype: str) -> Diagnosis | None:
    """Say so if everything that is off agrees with the right numbers as far as a narrower dtype could."""
    residuals = {name: evidence.fit(name, evidence.truth[name]).residual for name in evidence.off}
    worst = max(residuals.values())
    elements = sum(evidence.actual[name].size for name in evidence.off)
    # A few numbers agree to three digits by chance.
    narrower = (("float64", 32 * 2.0**-52, 1), ("float32", 32 * 2.0**-23, 1), ("float16 or TF32", 2.0**-10, 16))
    for name, most, least in narrower:
        eps = np.finfo(name.partition(" ")[0]).eps
        if worst <= most and np.finfo(dtype).eps <= eps and elements >= least:
            text = (
                f"The numbers agree with the right ones to {worst:.1e} of each tensor's largest element, as a "
                f"computation in {name} does, and not to the precision of {dtype}."
            )
            if name == dtype:
                text = f"The numbers are right to {worst:.1e} of the largest element: rounding, and a little more."
            return Diagnosis("lower-precision", text, residuals)
    return None


def _eps(array: ndarray) -> float:
    return float(np.finfo(array.dtype).eps) if array.dtype.kind == "f" else 2.0**-52
