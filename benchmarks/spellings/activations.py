"""Nonlinearities by other formulas, and changes to their arguments."""

from __future__ import annotations

import numpy as np
from numpy import ndarray
from typing_extensions import override

from benchmarks.spellings.base import Spelling
from harness.problem import Problem
from reference_impls.activations import ACTIVATIONS, Activation


class _Named(Spelling):
    """Another formula for one activation, wherever it is used."""

    replaces: str

    @override
    def obstacle(self, problem: Problem) -> str:
        gated = problem.case.cell != "rnn" and self.replaces == "sigmoid"
        return "" if gated or problem.case.activation == self.replaces else f"there is no {self.replaces}"

    @override
    def activation(self, name: str, *, gate: bool) -> Activation:
        if name != self.replaces:
            return ACTIVATIONS[name]

        def value(a: ndarray, out: ndarray) -> ndarray:
            out[...] = self.value(a)
            return out

        return ACTIVATIONS[name]._replace(value=value)

    def value(self, a: ndarray) -> ndarray:
        """φ(a), in the dtype of a."""
        raise NotImplementedError


class TanhByExponentials(_Named):
    """tanh as (eᵃ − e⁻ᵃ) / (eᵃ + e⁻ᵃ), infinity over infinity where eᵃ overflows."""

    replaces = "tanh"

    @override
    def value(self, a: ndarray) -> ndarray:
        return (np.exp(a) - np.exp(-a)) / (np.exp(a) + np.exp(-a))


class TanhBySigmoid(_Named):
    """tanh as 2 σ(2a) − 1, which cancels near zero."""

    replaces = "tanh"

    @override
    def value(self, a: ndarray) -> ndarray:
        return 2 / (1 + np.exp(-2 * a)) - 1


class SigmoidByGrowingExponential(_Named):
    """The sigmoid as eᵃ / (1 + eᵃ), infinity over infinity where eᵃ overflows."""

    replaces = "sigmoid"

    @override
    def value(self, a: ndarray) -> ndarray:
        return np.exp(a) / (1 + np.exp(a))


class SigmoidByTanh(_Named):
    """The sigmoid as (1 + tanh(a/2)) / 2, which cancels far below zero."""

    replaces = "sigmoid"

    @override
    def value(self, a: ndarray) -> ndarray:
        return (1 + np.tanh(a / 2)) / 2


class SquashedWithEpsilon(_Named):
    """The sigmoid as 1 / (1 + e⁻ᵃ + 1e-12), for fear of a division by zero."""

    replaces = "sigmoid"

    @override
    def value(self, a: ndarray) -> ndarray:
        return 1 / (1 + np.exp(-a) + a.dtype.type(1e-12))


class _Clipped(Spelling):
    """Arguments are clipped before the nonlinearity, and the derivative is that of the value."""

    limit: float
    gates_only = False

    @override
    def obstacle(self, problem: Problem) -> str:
        if self.gates_only:
            return "" if problem.case.cell != "rnn" else "there are no gates"
        return "" if problem.case.activation in ("tanh", "sigmoid") else "nothing saturates"

    @override
    def activation(self, name: str, *, gate: bool) -> Activation:
        right = ACTIVATIONS[name]
        if self.gates_only and not gate:
            return right
        limit = self.limit
        return right._replace(value=lambda a, out: right.value(np.clip(a, -limit, limit), out))


class ArgumentClippedAt10(_Clipped):
    """Pre-activations are clipped into ±10 before tanh or a sigmoid, so that exp is safe."""

    limit = 10.0


class ArgumentClippedAt500(_Clipped):
    """Pre-activations are clipped into ±500 before tanh or a sigmoid, so that exp is safe."""

    limit = 500.0


class GateClippedAt15(_Clipped):
    """The pre-activations of gates are clipped into ±15, so that exp is safe."""

    limit = 15.0
    gates_only = True


class HardSigmoid(Spelling):
    """Gates by a hard sigmoid, max(0, min(1, a/5 + ½)), the default of early Keras."""

    @override
    def obstacle(self, problem: Problem) -> str:
        return "" if problem.case.cell != "rnn" else "there are no gates"

    @override
    def activation(self, name: str, *, gate: bool) -> Activation:
        if not gate:
            return ACTIVATIONS[name]

        def value(a: ndarray, out: ndarray) -> ndarray:
            return np.clip(a / 5 + a.dtype.type(0.5), 0, 1, out=out)

        return Activation(value, lambda h: ((h > 0) & (h < 1)).astype(h.dtype) / 5)


class ReluSlopeByQuotient(Spelling):
    """The derivative of relu as relu(a) / a, zero over zero at exactly zero."""

    @override
    def obstacle(self, problem: Problem) -> str:
        return "" if problem.case.activation == "relu" else "there is no relu"

    @override
    def activation(self, name: str, *, gate: bool) -> Activation:
        steps: list[ndarray] = []  # a_t of every layer and step, in order

        def value(a: ndarray, out: ndarray) -> ndarray:
            steps.append(np.array(a))
            return ACTIVATIONS[name].value(a, out)

        def slope(h: ndarray) -> ndarray:
            # Backward visits the layers from the last; each takes its own steps.
            own = np.stack(steps[-len(h) :])  # (T, B, H)
            del steps[-len(h) :]
            return h / own

        return Activation(value, slope)
