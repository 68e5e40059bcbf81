"""Swapped gradients: two tensors, two sorts of tensors in every layer, two layers or directions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy import ndarray

from harness.tensors import Structure, kind_of


@dataclass(frozen=True, eq=False)
class Swap:
    """Tensors that are swapped.

    Attributes:
        text: the swap, as a sentence.
        predicted: the swapped tensors, by name.
    """

    text: str
    predicted: Mapping[str, ndarray]


Pair = tuple[str, str]


def swaps(structure: Structure, right: Mapping[str, ndarray], off: Collection[str]) -> Iterator[Swap]:
    """Yield the swaps that show in the wrong tensors, those of the most tensors first.

    Args:
        structure: of the problem.
        right: all tensors as they would be without this fault, in float64.
        off: the tensors that a swap may explain.
    """

    def alike(a: str, b: str) -> bool:
        return a in off and b in off and right[a].shape == right[b].shape

    gradients = [name for name in right if name in structure.gradients and name in off]
    kinds = list(dict.fromkeys(map(kind_of, gradients)))
    blocks = structure.blocks
    for a, b in combinations(blocks, 2):
        pairs = [(f"{a}.{kind}", f"{b}.{kind}") for kind in kinds if alike(f"{a}.{kind}", f"{b}.{kind}")]
        if len(pairs) > 1:
            yield _of(f"{a} and {b} are swapped: {', '.join(kind_of(one) for one, _ in pairs)}", pairs, right)
    for a, b in combinations(kinds, 2):
        pairs = [(f"{block}.{a}", f"{block}.{b}") for block in blocks if alike(f"{block}.{a}", f"{block}.{b}")]
        if len(pairs) > 1:
            yield _of(
                f"{a} and {b} are swapped in each of {', '.join(one.rpartition('.')[0] for one, _ in pairs)}",
                pairs,
                right,
            )
    for a, b in combinations(gradients, 2):
        if alike(a, b):
            yield _of(f"{a} and {b} are swapped", [(a, b)], right)
    for block in blocks if structure.has_recurrent_bias else ():
        own, recurrent = f"{block}.b_h", f"{block}.b_hn"
        if own in off and recurrent in off:
            rest, candidate = np.split(right[own], [2 * structure.hidden])
            both = {own: np.concatenate([rest, right[recurrent]]), recurrent: candidate}
            yield Swap(f"The gradients of {recurrent} and of the candidate's block of {own} are swapped.", both)


def _of(text: str, pairs: list[Pair], right: Mapping[str, ndarray]) -> Swap:
    predicted = {name: right[other] for a, b in pairs for name, other in ((a, b), (b, a))}
    return Swap(f"The gradients of {text}.", predicted)
