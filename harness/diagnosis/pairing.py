"""The pairs of faults that are worth trying, and the pairs with an order that matters."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy import ndarray

from harness.diagnosis.bptt import Network
from harness.diagnosis.committing import overridden
from harness.diagnosis.evidence import SLACK, Evidence
from harness.diagnosis.faults import Suspect
from harness.diagnosis.faults.base import contradict
from harness.diagnosis.predictions import Prediction

MOST_FIRST = 24

SCALED = ("upstream-scaled", "loss-scaled")
"""Faults that only scale the results of others: in a pair, the factor is solved for and not searched."""


def fitting_where_first_off(
    true: Network, evidence: Evidence, candidates: list[Prediction]
) -> Iterator[tuple[Suspect, Suspect]]:
    """Yield the pairs that fit the first wrong gradient of the inputs on the way back.

    No wrong gradient has been carried there yet. Faults of different terms therefore add up in the gradient of the
    inputs, and faults of one product multiply in δ.

    Args:
        true: the network without a fault, after its backward pass.
        evidence: the numbers in question.
        candidates: the predictions of the possible faults.
    """
    if not true.layers or not true.layers[0].recursions or "inputs" not in evidence.off or "outputs" in evidence.off:
        return
    wrong = evidence.wrong("inputs")  # (B, T, I)
    t = int(np.flatnonzero(wrong.any(axis=(0, 2)))[-1])
    known = evidence.known.get("inputs", np.ones_like(wrong))[:, t]  # (B, I)
    right, actual = evidence.truth["inputs"][:, t], evidence.actual["inputs"][:, t]  # (B, I), (B, I)
    allowed = SLACK * np.broadcast_to(evidence.allowed["inputs"], wrong.shape)[:, t]  # (B, I)
    single = [each for each in candidates if each.suspects[0].name not in SCALED]
    if not single or not np.isfinite(actual[known]).all():
        return
    effects = np.array([each.changed.get("inputs", evidence.truth["inputs"])[:, t] - right for each in single])
    layer = true.layers[0]
    delta, back = layer.delta[t], layer.input_weights().T  # (B, G·H), (G·H, I)
    own = np.array([delta if each.delta is None else each.delta[t] for each in single])  # (N, B, G·H)
    with np.errstate(all="ignore"):
        ratios = np.where(delta == 0, 1, own / delta)  # (N, B, G·H)
        for i in range(1, len(single)):
            added = right + effects[i] + effects[:i]  # (i, B, I)
            multiplied = (own[i] * ratios[:i]) @ back  # (i, B, I)
            fits = [((np.abs(each - actual) <= allowed) | ~known).all(axis=(1, 2)) for each in (added, multiplied)]
            for j in np.flatnonzero(fits[0] | fits[1]):
                if set(evidence.off) <= single[i].changed.keys() | single[j].changed.keys():
                    yield from _if_different(single[j], single[i])


def worth_pairing(
    off: tuple[str, ...], candidates: list[Prediction], pivot: str, fits: Callable[[str, ndarray], float | None]
) -> Iterator[tuple[Suspect, Suspect]]:
    """Yield the pairs that can explain the pivot.

    If one fault explains it, any other may be the second. If none does, both must touch it.

    Args:
        off: the wrong tensors.
        candidates: the predictions of the possible faults.
        pivot: one of the tensors.
        fits: returns the residual if a prediction of a tensor agrees with the numbers.
    """
    in_order = sorted(candidates, key=lambda c: (c.suspects[0].layer is not None, c.suspects[0].fault.unlikely))
    touching = [c for c in in_order if pivot in c.changed and c.suspects[0].name not in SCALED]
    alone = [c for c in in_order if pivot in c.changed and fits(pivot, c.changed[pivot]) is not None]
    wanted = set(off)
    for first in alone[:MOST_FIRST]:
        for second in in_order:
            if second is not first and wanted <= first.changed.keys() | second.changed.keys():
                yield from _if_different(first, second)
    for i, second in enumerate(touching):
        for first in touching[:i]:
            if first not in alone and second not in alone:
                yield from _if_different(first, second)


def orders(a: Suspect, b: Suspect) -> tuple[tuple[Suspect, Suspect], ...]:
    """Return both orders of two faults that override the same method, else one."""
    return ((a, b), (b, a)) if overridden(a.fault) & overridden(b.fault) else ((a, b),)


def _if_different(first: Prediction, second: Prediction) -> Iterator[tuple[Suspect, Suspect]]:
    a, b = first.suspects[0], second.suspects[0]
    if not contradict(a.fault, b.fault):
        yield a, b
