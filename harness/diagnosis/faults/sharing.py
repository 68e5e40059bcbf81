"""Faults of indices and sharing: one cell for several, and tokens that come again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.cells import CellLayer
from harness.diagnosis.faults.base import LayerFault, NetworkFault
from harness.problem import Problem
from harness.tensors import Structure, kind_of


class OneCellForAll(NetworkFault):
    """One cell stands for {one_cell}: all use the weights of the first, and its gradients are the sums; those of the
    others are zero.
    """

    alters_forward = True
    hidden_by = ("constant weights",)
    one_cell: str

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "" if list(cls.variants(problem)) else "no two layers or directions have weights of the same shapes"

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        for what in ("all layers", "both directions of each layer"):
            if _tied(problem.structure, problem.weights, what):
                yield {"one_cell": what}

    def __init__(self, problem: Problem, layers: tuple[type[CellLayer], ...] = ()) -> None:
        self.tied = _tied(problem.structure, problem.weights, self.one_cell)
        weights = {**problem.weights, **{name: problem.weights[first] for name, first in self.tied.items()}}
        super().__init__(replace(problem, weights=weights), layers)

    @override
    def backward(self) -> dict[str, ndarray]:
        found = super().backward()
        for name, first in self.tied.items():
            if name in found:
                found[first] = found[first] + found[name]
                found[name] = np.zeros_like(found[name])
        return found


def _tied(structure: Structure, weights: Any, what: str) -> dict[str, str]:
    """Return the weights that are those of another layer or direction, by name; empty if any shapes differ."""
    firsts = {}
    for n in range(structure.layers):
        for direction, block in enumerate(structure.blocks_of(n)):
            first = structure.blocks_of(0)[direction] if what == "all layers" else structure.blocks_of(n)[0]
            if block != first:
                firsts[block] = first
    found = {
        name: f"{first}.{kind_of(name)}"
        for block, first in firsts.items()
        for name in weights
        if name.rpartition(".")[0] == block
    }
    return found if all(weights[name].shape == weights[first].shape for name, first in found.items()) else {}


class TokensOverwritten(LayerFault):
    """The gradient of W_xh is {written}, as dW[tokens] = … or dW[tokens] += … does for tokens that come again. All
    should add up.
    """

    hidden_by = ("no token comes again",)
    written: str

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "" if is_one_hot(problem.inputs) else "the inputs are no tokens: they are not one-hot"

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from (
            {"written": each}
            for each in (
                "for each token that of its last step in the last sequence",
                "for each token that of its last sequence at the last step",
                "for each token that of its first step",
                "a sum over the steps of the last sequence with the token",
            )
        )

    @override
    def accumulated(self, weight: str, operand: ndarray | None, delta: ndarray) -> ndarray:
        if weight != "W_xh" or operand is None or not is_one_hot(operand):  # an upper layer's input
            return super().accumulated(weight, operand, delta)
        tokens = operand.argmax(axis=-1)  # (T, B)
        found = np.zeros((operand.shape[-1], delta.shape[-1]), delta.dtype)  # (I, G·H)
        if self.written.startswith("a sum"):
            for of_step, own in zip(tokens, delta, strict=True):
                found[of_step] += own
        elif self.written.endswith("last sequence"):
            found[tokens.T] = delta.swapaxes(0, 1)
        else:
            order = slice(None, None, -1 if self.written.endswith("first step") else 1)
            for of_step, own in zip(tokens[order], delta[order], strict=True):
                found[of_step] = own
        return found


def is_one_hot(x: ndarray) -> bool:
    """Return whether each row of x (…, I) is one-hot."""
    return x.shape[-1] > 1 and bool((np.sort(x, axis=-1)[..., :-1] == 0).all() and (x.max(axis=-1) == 1).all())
