"""The begin of a wrong gradient: the layer, the step and the gates at which it is first wrong on its way back.

A known fault shows it in the δ of a network with that fault. Unexplained numbers can prove it: a gate's columns of dW
are Σ_t operand_tᵀ δ_t. If no change of δ at the steps before t gives these columns, the fault begins at step t or
later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
from numpy import ndarray

from harness.diagnosis.bptt import Network
from harness.diagnosis.cells import CellLayer
from harness.diagnosis.evidence import SLACK, Evidence
from harness.diagnosis.faults.places import GATE_WORDS

APART = 1e-9
"""Minimum difference of two δ in float64 that count as different, relative to the largest of their layer."""


def onset(true: Network, faulty: Network) -> str:
    """Return the layer, step and gates at which δ of a network first goes wrong; empty if it is right."""
    for n, (right, wrong) in reversed(list(enumerate(zip(true.layers, faulty.layers, strict=True)))):
        with np.errstate(all="ignore"):
            off = ~(np.abs(wrong.delta - right.delta) <= APART * np.abs(right.delta).max())  # (T, B, G·H)
        if off.any():
            t = int(np.flatnonzero(off.any(axis=(1, 2)))[-1])
            gates = [gate for gate in right.gates if right.block(off[t], gate).any()]
            where = in_words(gates) if len(gates) < len(right.gates) else "every gate"
            return f"in layer {n} at step {t} (counted from 0), in {where}"
    return ""


def proven_onset(true: Network, evidence: Evidence, latest: int) -> str:
    """Return the gates of the first layer with δ proven wrong at step ``latest`` or later; empty if none or all.

    Args:
        true: the network without a fault, after its backward pass.
        evidence: the numbers in question.
        latest: the last step with a wrong gradient of the inputs.
    """
    layer = true.layers[0]
    if len(layer.gates) == 1:
        return ""
    gates = [gate for gate in layer.gates if _begins_at(layer, gate, evidence, latest)]
    return f", in {in_words(gates)}" if gates and len(gates) < len(layer.gates) else ""


def gates_off(layer: CellLayer, block: str, weights: Collection[str], evidence: Evidence) -> tuple[str, ...]:
    """Return the gates of a layer with wrong columns in the gradients of some of these weights."""
    found = set()
    for weight in weights:
        wrong = evidence.wrong(f"{block}.{weight}")
        if weight == "b_hn":
            found.add("n")
        else:
            found |= {gate for gate in layer.gates if layer.block(wrong, gate).any()}
    return tuple(gate for gate in layer.gates if gate in found)


def in_words(gates: Iterable[str]) -> str:
    """Name gates: "the input gate and the forget gate"."""
    *others, last = [GATE_WORDS[gate] for gate in gates]
    return f"{', '.join(others)} and {last}" if others else last


def _begins_at(layer: CellLayer, gate: str, evidence: Evidence, t: int) -> bool:
    """Return whether no change of δ at the steps before t gives a gate's columns, starting from the right ones."""
    operands, columns = [], []
    for weight, ((operand, _), *_) in layer.products(layer.delta).items():
        name = f"layer0.{weight}"
        # The factor of r_t is the candidate's own; every gate has the other products.
        if name not in evidence.actual or name in evidence.known or weight == "b_hn" or (weight, gate) == ("W_hh", "n"):
            continue
        rows = np.ones((*layer.delta.shape[:2], 1)) if operand is None else operand  # (T, B, K)
        scale = np.broadcast_to(evidence.allowed[name], evidence.truth[name].shape).max()
        off = layer.block(evidence.actual[name] - evidence.truth[name], gate)  # (K, H) or (H,)
        if not evidence.truth[name].any() or not np.isfinite(off).all():
            return False  # no scale
        operands.append(rows[:t].reshape(-1, rows.shape[-1]).T / scale)  # (K, t·B)
        columns.append(off.reshape(rows.shape[-1], -1) / scale)  # (K, H)
    if not operands:
        return False
    before, changed = np.concatenate(operands), np.concatenate(columns)
    left: ndarray = changed - before @ np.linalg.lstsq(before, changed, rcond=None)[0] if t else changed
    return bool((np.abs(left) > SLACK * len(left)).any())
