r"""A weight's gradient as a sum of contributions, and the weight that each has in the numbers in question.

The right gradient of W is a sum over steps, over sequences, and over the age of the loss: the number of steps between
the step and the loss. With C_k the contributions, (K, …), the right gradient is Σ_k C_k. If the numbers are
Σ_k w_k C_k with other w_k, solving for w shows which steps were dropped, counted twice, or cut off. The
contributions must reach more elements than there are contributions. A weight that the elements cannot determine stays
at 1, the least change that explains them. If only the columns of some gates are wrong, the weights are those gates'.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray

from harness.diagnosis.bptt import Network
from harness.diagnosis.cells import CellLayer
from harness.diagnosis.evidence import Evidence
from harness.diagnosis.onset import gates_off, in_words

MOST_NUMBERS = 2**21
"""Maximum of numbers in all contributions; beyond it, they are not computed."""

BITS_OF_A_SIMPLE_WEIGHT = 3.0
"""Bits that name the value of a weight among 0, ½, 1½, 2 and the like."""


@dataclass(frozen=True, eq=False)
class Weighted:
    """A weighted sum of contributions that agrees with some tensors.

    Attributes:
        fault: ``step-weights``, ``sequence-weights`` or ``loss-age-weights``.
        text: the weights in words.
        predicted: the tensors, by name.
        fitted: how many numbers were fitted.
        chosen: the bits that name the weights other than 1 and their simple numbers.
    """

    fault: str
    text: str
    predicted: Mapping[str, ndarray]
    fitted: int
    chosen: float


def decompositions(true: Network, evidence: Evidence) -> Iterator[Weighted]:
    """Yield the weighted sums that agree with the wrong gradients of a layer's weights.

    Args:
        true: the network without a fault, after its backward pass.
        evidence: the numbers in question.
    """
    if not all(layer.recursions for layer in true.layers):  # another network took their places
        return
    # A truncated gradient is not one of the full recursion, which defines the ages.
    ways = [way for way in WAYS if way[0] != "age" or true.problem.truncation is None]
    for n, layer in enumerate(true.layers):
        block = true.structure.blocks[n]
        off = [w for w in layer.products(layer.delta) if f"{block}.{w}" in evidence.off]
        groups = [off] if len(off) < 2 else [off, *([w] for w in off)]
        for along, name, contributions_of in ways:
            for group in groups:
                if not group:
                    continue
                contributions = contributions_of(layer, group)
                if contributions is None:
                    continue
                gates = gates_off(layer, block, group, evidence)
                named = {f"{block}.{w}": _of_gates(layer, w, each, gates) for w, each in contributions.items()}
                found = _solved(along, name, named, evidence)
                if found is not None and len(gates) < len(layer.gates):
                    found = replace(found, text=f"{found.text}, in the columns of {in_words(gates)}")
                if found is not None:
                    yield found


def _of_steps(layer: CellLayer, weights: Sequence[str]) -> dict[str, ndarray] | None:
    """The contribution of each step: (T, …)."""
    return _products(layer, weights, "tb{i},tbh->t{i}h", layer.delta, len(layer.delta))


def _of_sequences(layer: CellLayer, weights: Sequence[str]) -> dict[str, ndarray] | None:
    """The contribution of each sequence: (B, …)."""
    return _products(layer, weights, "tb{i},tbh->b{i}h", layer.delta, layer.delta.shape[1])


def _of_ages(layer: CellLayer, weights: Sequence[str]) -> dict[str, ndarray] | None:
    """The contribution of the losses of each age, the own step's first: (T, …)."""
    T = len(layer.delta)
    if T * layer.delta.size > MOST_NUMBERS:
        return None
    (recursion,) = layer.recursions.values()
    aged = np.zeros((T, *layer.delta.shape), layer.delta.dtype)  # (T, T, B, G·H): by age, then by step
    for age, (delta, _) in enumerate(layer.by_age(recursion.g, T)):
        aged[age, : len(delta)] = delta
    return _products(layer, weights, "tb{i},atbh->a{i}h", aged, T)


WAYS: tuple[tuple[str, str, Callable[[CellLayer, Sequence[str]], dict[str, ndarray] | None]], ...] = (
    ("step", "step-weights", _of_steps),
    ("sequence", "sequence-weights", _of_sequences),
    ("age", "loss-age-weights", _of_ages),
)


def _products(
    layer: CellLayer, weights: Sequence[str], subscripts: str, delta: ndarray, count: int
) -> dict[str, ndarray] | None:
    """The products of each weight, summed over the axes that the subscripts leave out, columns side by side."""
    products = {w: products for w, products in layer.products(delta).items() if w in weights}
    rows = {w: 1 if operand is None else operand.shape[-1] for w, ((operand, _), *_) in products.items()}
    if count < 2 or count * delta.shape[-1] * sum(rows.values()) > MOST_NUMBERS:
        return None
    found = {}
    for w, parts in products.items():
        sums = [_summed(subscripts, operand, part) for operand, part in parts]
        found[w] = sums[0] if len(sums) == 1 else np.concatenate(sums, axis=-1)
    return found


def _summed(subscripts: str, operand: ndarray | None, delta: ndarray) -> ndarray:
    if operand is not None:
        summed: ndarray = np.einsum(subscripts.format(i="i"), operand, delta, optimize=True)
        return summed
    ones = np.ones(delta.shape[-3:-1], delta.dtype)  # (T, B)
    of_bias: ndarray = np.einsum(subscripts.format(i=""), ones, delta, optimize=True)
    return of_bias


def _of_gates(layer: CellLayer, weight: str, contributions: ndarray, gates: tuple[str, ...]) -> ndarray:
    """The contributions (K, …) to the columns of some gates, and zero elsewhere."""
    if weight == "b_hn" or len(gates) == len(layer.gates):
        return contributions
    found = np.zeros_like(contributions)
    for gate in gates:
        layer.block(found, gate)[...] = layer.block(contributions, gate)
    return found


def _solved(along: str, fault: str, contributions: Mapping[str, ndarray], evidence: Evidence) -> Weighted | None:
    columns, wanted = [], []
    for name, each in contributions.items():
        known = evidence.known.get(name, np.ones(each.shape[1:], bool))
        scale = np.broadcast_to(evidence.allowed[name], known.shape)[known]
        if not evidence.truth[name].any():
            return None
        columns.append((each[:, known] / scale).T)  # (elements, K)
        wanted.append((evidence.actual[name] - evidence.truth[name])[known] / scale)
    matrix, right = np.concatenate(columns), np.concatenate(wanted)
    count = matrix.shape[1]
    # Elements that no contribution reaches, such as the columns of other gates, give no equation for the weights.
    equations = int(matrix.any(axis=1).sum())
    if equations <= count or not (np.isfinite(matrix).all() and np.isfinite(right).all()):
        return None
    # In units of the allowed error, so a weight without a larger effect stays undetermined, at 1.
    change = np.linalg.lstsq(matrix, right, rcond=1 / max(float(np.abs(matrix).max()), 2.0))[0]
    weights = 1 + change
    simple = np.round(weights * 2) / 2
    chosen = float((simple != 1).sum()) * (math.log2(count) + BITS_OF_A_SIMPLE_WEIGHT)
    for tried, fitted, bits in ((simple, 0, chosen), (weights, count, 0.0)):
        if np.ptp(tried) == 0:  # a factor of the whole
            continue
        predicted = {
            name: evidence.truth[name] + np.tensordot(tried - 1, each, 1) for name, each in contributions.items()
        }
        if all(evidence.fit(name, each).agrees for name, each in predicted.items()):
            return Weighted(fault, _described(along, tried), predicted, fitted, bits)
    return None


def _described(along: str, weights: ndarray) -> str:
    """Say which weights are not 1."""
    shrinking = weights[1] if len(weights) > 1 else 1.0
    if along == "age":
        if np.allclose(weights, shrinking ** np.arange(len(weights)), rtol=1e-4) and shrinking not in (0.0, 1.0):
            return f"the state gradient is multiplied by {shrinking:.6g} at each step on its way back"
        kept = int(np.argmax(weights == 0)) if (weights == 0).any() else 0
        if kept and (weights[:kept] == 1).all() and (weights[kept:] == 0).all():
            return f"truncated: only losses at most {kept - 1} steps later are counted"
    names = {"step": "step", "sequence": "sequence", "age": "losses so many steps later:"}
    parts = []
    for value in dict.fromkeys(np.round(weights, 6)):
        if value == 1:
            continue
        where = ", ".join(str(k) for k in range(len(weights)) if np.round(weights[k], 6) == value)
        times = {0.0: "left out", 2.0: "counted twice"}.get(float(value), f"counted {value:g} times")
        parts.append(f"{names[along]} {where} {times}")
    return f"the right sum with {'; '.join(parts)} (counted from 0)"
