"""A network of one layer as its cell's recurrence, so that the rules of the cell's step explain its gradients.

The gradient of the loss by the layer's outputs is the upstream gradient of the recurrence. Rules of the step are local:
each names a line of it. The catalogue of networks holds faults of a whole pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy import ndarray

from harness.case.recurrent import Draw
from harness.derive.network import recurrence_of
from harness.diagnosis.evidence import Evidence
from harness.diagnosis.explanation import UNEXPLAINED, Diagnosis
from harness.diagnosis.predictions import Predictions
from harness.diagnosis.recurrent.explaining import Explainer
from harness.problem import Problem
from harness.problem.recurrent import RecurrenceProblem, problem_of

BLOCK = "layer0"


def explained(evidence: Evidence, predictions: Predictions) -> list[Diagnosis]:
    """Return explanations of the gradients of a layer; nothing if there is no layer of this kind, or no fault of it."""
    layer = None if evidence.eps else layer_of(predictions.problem, evidence.truth)
    if layer is None:
        return []
    own = {canonical: name for name, canonical in canonical_names(layer).items()}
    whole = {name: each for name, each in evidence.actual.items() if name not in evidence.known}
    if not all(name in own and name in whole and np.isfinite(whole[name]).all() for name in evidence.off):
        return []
    explainer = Explainer(layer, {own[name]: each for name, each in predictions.noise.items() if name in own})
    found = explainer.explained(
        {own[name]: each for name, each in whole.items() if name in own},
        [own[name] for name in own if name not in evidence.off],
    )
    if not found or all(each.fault == UNEXPLAINED for each in found):
        return []
    return [_canonical(each, canonical_names(layer)) for each in found]


def layer_of(problem: Problem, truth: Mapping[str, ndarray]) -> RecurrenceProblem | None:
    """Return the problem of the only layer; None if there are more, or if the network has something around it."""
    structure, case = problem.structure, problem.case
    if structure.layers > 1 or structure.directions > 1 or problem.lengths is not None:
        return None
    if problem.truncation is not None or case.activation != "tanh":
        return None
    recurrence = recurrence_of(structure)
    _, upstream = problem.loss(truth["outputs"])  # (B, T, O)
    if structure.output is not None:
        upstream = upstream @ problem.weights["readout.W_hy"].T  # (B, T, H)
    B, T, _ = upstream.shape
    sizes = {"I": structure.input, "H": structure.hidden}
    drawn = problem_of(recurrence, Draw(B=B, T=T, dtype=case.dtype), sizes)
    return replace(
        drawn,
        weights={name: problem.weights[f"{BLOCK}.{name}"] for name in recurrence.weights},
        initial_state={name: problem.initial_state[f"{BLOCK}.{name}0"] for name in recurrence.state},
        inputs={"x": problem.inputs},
        targets=upstream,
        upstream_state={name: np.zeros_like(each) for name, each in drawn.upstream_state.items()},
    )


def canonical_names(layer: RecurrenceProblem) -> dict[str, str]:
    """Return the canonical name of each gradient of the recurrence."""
    names = [*layer.recurrence.weights, *(f"{name}0" for name in layer.recurrence.state)]
    return {**{name: f"{BLOCK}.{name}" for name in names}, "inputs.x": "inputs"}


def _canonical(found: Diagnosis, names: Mapping[str, str]) -> Diagnosis:
    def named(text: str) -> str:
        return text.replace("inputs.x", "inputs")

    residuals = {names[name]: residual for name, residual in found.residuals.items()}
    return replace(found, explanation=named(found.explanation), residuals=residuals, start=named(found.start))
