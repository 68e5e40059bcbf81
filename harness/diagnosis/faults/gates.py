"""Faults of the gates of any gated cell."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.cells.layer import Step
from harness.diagnosis.faults.base import GatedFault
from harness.diagnosis.faults.forward import NOT_PUT_BACK
from harness.diagnosis.faults.places import GATE_WORDS, PLACES, SIGMOIDS, TANHS, places
from harness.problem import Problem
from harness.tensors import GATE_NAMES
from reference_impls.activations import ACTIVATIONS, Activation


def _each_gate(problem: Problem) -> Iterator[str]:
    yield from (GATE_WORDS[gate] for gate in GATE_NAMES[problem.structure.cell])


def _orders(problem: Problem) -> Iterator[str]:
    """Every order of a cell's gates but the right one, in words."""
    yield from (", ".join(order) for order in list(permutations(GATE_NAMES[problem.structure.cell]))[1:])


class _OfOneGate(GatedFault):
    """A fault of one gate's part of δ."""

    def without(self, delta: ndarray, words: str) -> ndarray:
        """δ (…, G·H), with zero for a gate."""
        left = delta.copy()
        (gate,) = (gate for gate in self.gates if GATE_WORDS[gate] == words)
        self.block(left, gate)[...] = 0
        return left


class GateGradientMissing(_OfOneGate):
    """No gradient goes through {gate_without}: its part of δ_t is zero, as if it were a constant."""

    unlikely = 0
    hidden_by = ("one step",)
    gate_without: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"gate_without": each} for each in _each_gate(problem))

    @override
    def at_values(self, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        return self.without(super().at_values(g, carried, t), self.gate_without)


class GateNotCarried(_OfOneGate):
    """The gradient carried to the state before lacks the part through {gate_not_carried}."""

    unlikely = 0
    hidden_by = ("no gradient passes between steps", "zero recurrent weights")
    gate_not_carried: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"gate_not_carried": each} for each in _each_gate(problem))

    @override
    def carry(self, delta: ndarray, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        return super().carry(self.without(delta, self.gate_not_carried), g, carried, t)


class GateAloneCarried(_OfOneGate):
    """The gradient carried to the state before has the part through {gate_alone_carried} alone: each gate overwrites
    the sum instead of adding to it.
    """

    hidden_by = ("no gradient passes between steps", "zero recurrent weights")
    gate_alone_carried: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"gate_alone_carried": each} for each in _each_gate(problem))

    @override
    def carry(self, delta: ndarray, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        return super().carry(delta - self.without(delta, self.gate_alone_carried), g, carried, t)


class NoGateCarried(GatedFault):
    """The gradient carried to the state before lacks the part through the gates, by W_hhᵀ."""

    unlikely = 0
    hidden_by = ("no gradient passes between steps", "zero recurrent weights")

    @override
    def weights_back(self, t: Step) -> ndarray:
        return np.zeros_like(super().weights_back(t))


class GateNotHandedToInputs(_OfOneGate):
    """The gradient of a layer's inputs lacks the part through {gate_not_handed}."""

    gate_not_handed: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"gate_not_handed": each} for each in _each_gate(problem))

    @override
    def of_inputs(self, delta: ndarray, g: ndarray) -> ndarray:
        return super().of_inputs(self.without(delta, self.gate_not_handed), g)


class GateAloneHandedToInputs(_OfOneGate):
    """The gradient of a layer's inputs has the part through {gate_alone_handed} alone: each gate overwrites the sum
    instead of adding to it.
    """

    gate_alone_handed: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"gate_alone_handed": each} for each in _each_gate(problem))

    @override
    def of_inputs(self, delta: ndarray, g: ndarray) -> ndarray:
        return super().of_inputs(delta - self.without(delta, self.gate_alone_handed), g)


class GatesPermutedOnTheWayBack(GatedFault):
    """The state gradient is carried back through W_hhᵀ with its gates taken in the order {order_back}."""

    hidden_by = ("no gradient passes between steps", "constant weights")
    order_back: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        # Two swapped gates; any other order is wrong in the forward pass, too.
        right = GATE_NAMES[problem.structure.cell]
        swapped = (
            each for each in _orders(problem) if sum(a != b for a, b in zip(each.split(", "), right, strict=True)) == 2
        )
        yield from ({"order_back": each} for each in swapped)

    @override
    def weights_back(self, t: Step) -> ndarray:
        rows = super().weights_back(t).T  # (H, G·H)
        return np.concatenate([self.block(rows, gate) for gate in self.order_back.split(", ")], axis=-1).T


class GatesStackedInAnotherOrder(GatedFault):
    """The blocks of δ_t are stacked in the order {order_stacked}, their factors in the gates' own order."""

    unlikely = 0
    order_stacked: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"order_stacked": each} for each in _orders(problem))

    @override
    def through_activation(self, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        delta = super().through_activation(g, carried, t)
        return np.concatenate([self.block(delta, gate) for gate in self.order_stacked.split(", ")], axis=-1)


class GatesReadInAnotherOrder(GatedFault):
    """The blocks of W_xh, W_hh and b_h are taken for the gates {order_read}, forward and backward{order_gradient}."""

    alters_forward = True
    unlikely = 0
    hidden_by = ("constant weights",)
    order_read: str
    order_gradient: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        for back in ("", f"; their gradients are {NOT_PUT_BACK} put back in order"):
            yield from ({"order_read": each, "order_gradient": back} for each in _orders(problem))

    def _read(self, stored: ndarray) -> ndarray:
        """Return an array (…, G·H) in the right order, given one with its blocks in the order that is read."""
        order = self.order_read.split(", ")
        H = self.h0.shape[-1]
        blocks = [stored[..., order.index(gate) * H : (order.index(gate) + 1) * H] for gate in self.gates]
        return np.concatenate(blocks, axis=-1)

    @override
    def input_weights(self) -> ndarray:
        return self._read(super().input_weights())

    @override
    def recurrent_weights(self) -> ndarray:
        return self._read(super().recurrent_weights())

    @override
    def bias(self) -> ndarray:
        return self._read(super().bias())

    @override
    def of_weights(self, delta: ndarray) -> dict[str, ndarray]:
        found = super().of_weights(delta)
        if NOT_PUT_BACK in self.order_gradient:
            return found
        for weight in ("W_xh", "W_hh", "b_h"):
            blocks = [self.block(found[weight], gate) for gate in self.order_read.split(", ")]
            found[weight] = np.concatenate(blocks, axis=-1)
        return found


class BiasOfOneGate(GatedFault):
    """The bias of {bias_of} is added to every gate in the forward pass."""

    alters_forward = True
    hidden_by = ("zero biases",)
    bias_of: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        for gate in _each_gate(problem):
            yield {"bias_of": gate}

    def _gate(self) -> str:
        (gate,) = (gate for gate in self.gates if GATE_WORDS[gate] == self.bias_of)
        return gate

    @override
    def bias(self) -> ndarray:
        return np.tile(self.block(super().bias(), self._gate()), len(self.gates))

    @override
    def of_weights(self, delta: ndarray) -> dict[str, ndarray]:
        found = super().of_weights(delta)
        of_bias = np.zeros_like(found["b_h"])  # (G·H,)
        self.block(of_bias, self._gate())[...] = sum(self.block(found["b_h"], gate) for gate in self.gates)
        return {**found, "b_h": of_bias}


class AnotherGateActivation(GatedFault):
    """The activation of {activated_at} is {gate_activation}, forward and backward."""

    alters_forward = True
    activated_at: str
    gate_activation: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        for place in ("the sigmoid gates", "every gate"):
            if PLACES[place] & frozenset(GATE_NAMES[problem.structure.cell]) <= SIGMOIDS:
                names = ("hard sigmoid (0.2 a + ½)", "hard sigmoid (a / 6 + ½)", "tanh")
                yield from ({"activated_at": place, "gate_activation": each} for each in names)
        for place in places(problem, TANHS):
            yield from ({"activated_at": place, "gate_activation": each} for each in ("sigmoid", "relu", "identity"))
        for place in places(problem, SIGMOIDS):
            if place != "the sigmoid gates":
                yield from ({"activated_at": place, "gate_activation": each} for each in ("tanh", "identity"))

    @override
    def activation_of(self, gate: str) -> Activation:
        if gate not in PLACES[self.activated_at]:
            return super().activation_of(gate)
        return _ALL[self.gate_activation]


def _hard(slope: float) -> Activation:
    """min(max(slope · a + ½, 0), 1)."""

    def value(a: ndarray, out: ndarray) -> ndarray:
        return np.clip(slope * a + 0.5, 0, 1, out=out)

    def slope_at_value(h: ndarray) -> ndarray:
        return np.where((h > 0) & (h < 1), slope, 0.0).astype(h.dtype)

    return Activation(value, slope_at_value)


_ALL = {**ACTIVATIONS, "hard sigmoid (0.2 a + ½)": _hard(0.2), "hard sigmoid (a / 6 + ½)": _hard(1 / 6)}
