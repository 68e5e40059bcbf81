"""Loops that stop too soon, states that are forgotten, sums that overwrite, powers by eigenvectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy import ndarray
from typing_extensions import override

from benchmarks.spellings.base import Spelling, Tensors, replaced
from harness.implementations import implementations
from harness.problem import Problem
from harness.problem.reference import backward, forward, layer_of
from harness.result import Result, run
from reference_impls import linear_dynamics, network


class _LastSteps(Spelling):
    """The backward pass keeps a limited number of steps, and older ones have no gradient."""

    kept: int

    @override
    def obstacle(self, problem: Problem) -> str:
        plain = problem.truncation is None and problem.structure.directions == 1 and problem.lengths is None
        return "" if plain else "the gradient is carried otherwise"

    @override
    def backward(self, problem: Problem, passed: network.ForwardPass, d_outputs: ndarray) -> Tensors:
        T = problem.structure.time
        if self.kept >= T:
            return backward(problem, passed, d_outputs)
        counted = np.array(d_outputs)  # (B, T, O)
        counted[:, : T - self.kept] = 0
        return _cut_once(problem, passed, counted, T - self.kept)


def _cut_once(problem: Problem, passed: network.ForwardPass, d_outputs: ndarray, first: int) -> Tensors:
    """Carry d_outputs back to a step and no further."""
    layer = layer_of(problem.structure)

    class Cut:
        """The layer, with its backward pass cut at that step."""

        WEIGHTS = layer.WEIGHTS
        STATES = layer.STATES

        @staticmethod
        def backward(cache: object, d_states: ndarray) -> object:
            return layer.backward(cache, d_states, frozenset({first}))

    return network.backward(Cut, problem.weights, passed, d_outputs)  # type: ignore[arg-type]


class LastHundredSteps(_LastSteps):
    """The backward pass goes over the last hundred steps and no more."""

    kept = 100


class LastThousandSteps(_LastSteps):
    """The backward pass goes over the last thousand steps and no more."""

    kept = 1000


class GivesUpWhenSmall(Spelling):
    """The backward pass ends where a step's gradient is less than 1e-8 of the last step's: earlier inputs get zero."""

    @override
    def returned(self, tensors: Tensors, problem: Problem) -> Tensors:
        d_x = np.array(tensors["inputs"])  # (B, T, I)
        largest = np.abs(d_x).max(axis=(0, 2))  # (T,)
        last = np.flatnonzero(largest)[-1] if largest.any() else 0
        small = np.flatnonzero(largest[: last + 1] < 1e-8 * largest[last])
        if small.size == 0:
            return tensors
        d_x[:, : small[-1] + 1] = 0
        states = {name: np.zeros_like(each) for name, each in tensors.items() if name in problem.initial_state}
        return tensors | states | {"inputs": d_x}


class TokensOverwritten(Spelling):
    """The gradient of W_xh is written to the rows of the tokens, W[token] = δ, so that of a token that comes again only
    the last time counts.
    """

    @override
    def obstacle(self, problem: Problem) -> str:
        one_hot = (np.sort(problem.inputs, axis=-1)[..., :-1] == 0).all() and (problem.inputs.max(axis=-1) == 1).all()
        return "" if one_hot and problem.structure.input > 1 else "the inputs are not one-hot"

    @override
    def returned(self, tensors: Tensors, problem: Problem) -> Tensors:
        d_W = np.zeros_like(tensors["layer0.W_xh"])  # (I, G·H)
        tokens = problem.inputs.argmax(axis=-1)  # (B, T)
        for b, t in np.ndindex(*tokens.shape):
            d_W[tokens[b, t]] = self._delta(problem, b, t)
        return tensors | {"layer0.W_xh": d_W}

    def _delta(self, problem: Problem, b: int, t: int) -> ndarray:
        """Return δ of the first layer at one place, (G·H,): the gradient of weights whose input is 1 there alone."""
        inputs = np.zeros((*problem.inputs.shape[:2], problem.structure.input + 1), problem.inputs.dtype)
        inputs[..., :-1] = problem.inputs
        inputs[b, t, -1] = 1
        W_xh = problem.weights["layer0.W_xh"]
        widened = {"layer0.W_xh": np.vstack([W_xh, np.zeros_like(W_xh[:1])])}
        sizes = replace(problem.case.sizes, input=problem.structure.input + 1)
        wider = replace(
            problem,
            case=replace(problem.case, sizes=sizes),
            inputs=inputs,
            weights={**problem.weights, **widened},
        )
        passed = forward(wider)
        return backward(wider, passed, wider.loss(passed.outputs)[1])["layer0.W_xh"][-1]


class PowersByEigenvectors(Spelling):
    """Linear dynamics by powers of W_hh from its eigenvectors, of which a defective matrix has too few."""

    @override
    def obstacle(self, problem: Problem) -> str:
        if problem.structure.directions == 2 or problem.lengths is not None:
            return "the closed form has one direction and equal lengths"
        return implementations()["closed-form"].reason_against(problem.case)

    @override
    def __call__(self, problem: Problem) -> Result:
        def powers(W: ndarray, count: int) -> ndarray:
            values, vectors = np.linalg.eig(W.astype(np.float64))  # (H,), (H, H)
            of_values = values[None, :] ** np.arange(count)[:, None]  # (count, H)
            return ((vectors * of_values[:, None, :]) @ np.linalg.inv(vectors)).real.astype(W.dtype)

        with replaced(linear_dynamics, "powers_of", powers), np.errstate(all="ignore"):
            return run(implementations()["closed-form"], problem)
