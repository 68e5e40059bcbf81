"""Faults at the ends of the chain: the gradients of the initial state, of the inputs and for the layer below."""

from __future__ import annotations

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.cells.layer import Step
from harness.diagnosis.faults.base import LayerFault, NetworkFault, RnnFault
from harness.diagnosis.faults.carry import values_at_each_step
from harness.diagnosis.faults.needs import several_layers, several_sequences, several_steps, square_input_weights


class InitialStateWithoutWeights(RnnFault):
    """The gradient of the initial state is δ_1 itself, without the last product with W_hhᵀ."""

    unlikely = 0
    hidden_by = ("no gradient reaches the initial state",)

    @override
    def of_initial_state(self, delta: ndarray, g: ndarray, carried: ndarray) -> ndarray:
        return delta[0]


class InitialStateUntransposed(LayerFault):
    """The gradient of the initial state is computed with W_hh untransposed: δ_1 W_hh."""

    hidden_by = ("one unit", "no gradient reaches the initial state")

    @override
    def weights_back(self, t: Step) -> ndarray:
        return self.turned(self.recurrent_weights()).T if t == 0 else super().weights_back(t)


class InitialStateIsFirstState(LayerFault):
    """The gradient of the initial state is that of the first step's state, dL/dh_1: one step is missing."""

    hidden_by = ("no gradient reaches the initial state",)

    @override
    def of_initial_state(self, delta: ndarray, g: ndarray, carried: ndarray) -> ndarray:
        return self.total(g, self.arrived[..., 0, :, :], 0)


class InitialStateThroughSlope(RnnFault):
    """The gradient of the initial state is multiplied by the activation's derivative, though no activation made that
    state.
    """

    hidden_by = (
        "no gradient reaches the initial state",
        "zero initial state",
        "slope of one",
    )

    @override
    def of_initial_state(self, delta: ndarray, g: ndarray, carried: ndarray) -> ndarray:
        return super().of_initial_state(delta, g, carried) * self.activation_of("h").slope_at_value(
            self.cache.before[0]
        )


class InitialStateFromLastStep(LayerFault):
    """The gradient of the initial state is the one that the last step hands back."""

    needs = (several_steps,)

    @override
    def of_initial_state(self, delta: ndarray, g: ndarray, carried: ndarray) -> ndarray:
        last = len(delta) - 1
        return self.of_state(self.carry(delta[last], g, self.arrived[..., last, :, :], last))


class InitialStateSummedOverBatch(LayerFault):
    """The gradient of the initial state is summed over the batch, and the same for every sequence."""

    hidden_by = ("no gradient reaches the initial state",)
    needs = (several_sequences,)

    @override
    def of_initial_state(self, delta: ndarray, g: ndarray, carried: ndarray) -> ndarray:
        own = super().of_initial_state(delta, g, carried)
        return np.broadcast_to(own.sum(axis=0), own.shape).copy()


class InputsUntransposed(LayerFault):
    """The gradient of a layer's inputs is computed with W_xh untransposed: δ W_xh."""

    hidden_by = ("one unit", "constant weights")
    needs = (square_input_weights,)

    @override
    def of_inputs(self, delta: ndarray, g: ndarray) -> ndarray:
        return delta @ self.turned(self.W_xh).T if self.W_xh.shape == self.W_hh.shape else super().of_inputs(delta, g)


class InputsThroughRecurrentWeights(LayerFault):
    """The gradient of a layer's inputs is computed with W_hhᵀ instead of W_xhᵀ."""

    hidden_by = ("constant weights",)
    needs = (square_input_weights,)

    @override
    def of_inputs(self, delta: ndarray, g: ndarray) -> ndarray:
        return delta @ self.W_hh.T if self.W_xh.shape == self.W_hh.shape else super().of_inputs(delta, g)


class InputsWithoutSlope(LayerFault):
    """The gradient of a layer's inputs lacks the derivative of the activation, or of the gates."""

    hidden_by = ("slope of one",)

    @override
    def of_inputs(self, delta: ndarray, g: ndarray) -> ndarray:
        return super().of_inputs(values_at_each_step(self, g), g)


class InputsFromUpstreamOnly(LayerFault):
    """The gradient of a layer's inputs counts its own step alone: the gradient from later steps is left out."""

    hidden_by = ("no gradient passes between steps",)

    @override
    def of_inputs(self, delta: ndarray, g: ndarray) -> ndarray:
        own = [self.through_activation(g, self.nothing(), t) for t in range(len(g))]  # (B, G·H) each
        return super().of_inputs(np.stack(own), g)


class BelowGetsLastStepOnly(NetworkFault):
    """A layer hands the gradient of its inputs to the layer below at the last step alone."""

    needs = (several_layers, several_steps)

    @override
    def to_below(self, n: int, d_x: ndarray, d_top: ndarray) -> ndarray:
        last = np.zeros_like(d_x)
        last[-1] = super().to_below(n, d_x, d_top)[-1]
        return last


class BelowGetsNothing(NetworkFault):
    """Nothing reaches the layers below the last one: their gradients are zero."""

    needs = (several_layers,)

    @override
    def to_below(self, n: int, d_x: ndarray, d_top: ndarray) -> ndarray:
        return np.zeros_like(d_x)


class BelowGetsTop(NetworkFault):
    """Each layer below receives the gradient of the last layer's states instead of that of the next layer's inputs."""

    needs = (several_layers,)

    @override
    def to_below(self, n: int, d_x: ndarray, d_top: ndarray) -> ndarray:
        return d_top if n > 0 else d_x


class BelowGetsTopToo(NetworkFault):
    """Each layer below receives the gradient of the last layer's states besides that of the next layer's inputs."""

    needs = (several_layers,)

    @override
    def to_below(self, n: int, d_x: ndarray, d_top: ndarray) -> ndarray:
        handed = super().to_below(n, d_x, d_top)
        return handed + d_top if n > 0 else handed


class BelowReversed(NetworkFault):
    """A layer hands the gradient of its inputs to the layer below in reversed order of time."""

    needs = (several_layers, several_steps)

    @override
    def to_below(self, n: int, d_x: ndarray, d_top: ndarray) -> ndarray:
        return super().to_below(n, d_x, d_top)[::-1]


class BelowThroughSlopeTwice(NetworkFault):
    """The gradient handed to the layer below is multiplied by that layer's activation derivative before the layer does
    so itself.
    """

    hidden_by = (
        "slope of zero or one",
        "slope of one",
    )
    cells = ("rnn",)
    needs = (several_layers,)

    @override
    def to_below(self, n: int, d_x: ndarray, d_top: ndarray) -> ndarray:
        handed = super().to_below(n, d_x, d_top)
        return handed * self.layers[n - 1].slope() if n > 0 else handed
