"""Another forward pass, with the backward pass that is right for it: outputs and loss differ, too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.cells.layer import Step
from harness.diagnosis.faults.base import LayerFault, NetworkFault, RnnFault
from harness.diagnosis.faults.needs import linear_readout, several_layers, several_steps, square_input_weights
from harness.problem import Problem
from reference_impls.activations import ACTIVATIONS, Activation

NOT_PUT_BACK = "not"
"""The word in a fault's parameter that leaves the gradient of reordered data in that order."""


class AnotherActivation(RnnFault):
    """The activation is {used_activation}, forward and backward."""

    alters_forward = True
    declare = "activation: {used_activation}"
    used_activation: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"used_activation": each} for each in ACTIVATIONS if each != problem.case.activation)

    @override
    def activation_of(self, gate: str) -> Activation:
        return ACTIVATIONS[self.used_activation]


class ForwardActivationOnly(RnnFault):
    """The forward pass uses {forward_activation}; the backward pass has the derivative of the case's activation."""

    alters_forward = True
    unlikely = 2
    forward_activation: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"forward_activation": each} for each in ACTIVATIONS if each != problem.case.activation)

    @override
    def forward(self, x: ndarray) -> ndarray:
        name, self.name = self.name, self.forward_activation
        states = super().forward(x)
        self.name = name
        return states


class BiasLeftOut(LayerFault):
    """The bias b_h is left out of the forward pass."""

    alters_forward = True
    hidden_by = ("zero biases",)

    @override
    def bias(self) -> ndarray:
        return np.zeros_like(self.b_h)


class BiasTwice(LayerFault):
    """The bias b_h is added twice in the forward pass, as when both of torch's biases are set to it."""

    alters_forward = True
    hidden_by = ("zero biases",)

    @override
    def bias(self) -> ndarray:
        return 2 * self.b_h

    @override
    def accumulated(self, weight: str, operand: ndarray | None, delta: ndarray) -> ndarray:
        return super().accumulated(weight, operand, delta) * (2 if weight == "b_h" else 1)


class InitialStateIgnored(LayerFault):
    """The forward pass starts from zero: the initial state is not used."""

    alters_forward = True
    unlikely = 0
    hidden_by = ("zero initial state",)
    declare = "initial_state: zeros"

    @override
    def start(self) -> ndarray:
        return np.zeros_like(self.h0)

    def start_cell(self) -> ndarray:
        """c_0 of an lstm."""
        return np.zeros_like(self.h0)


class RecurrentWeightsTransposed(LayerFault):
    """W_hh is used transposed, forward and backward{hh_gradient}."""

    alters_forward = True
    unlikely = 0
    hidden_by = ("one unit", "constant weights", "zero recurrent weights")
    hh_gradient: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"hh_gradient": each} for each in ("", f"; its gradient is {NOT_PUT_BACK} transposed back"))

    @override
    def recurrent_weights(self) -> ndarray:
        return self.turned(self.W_hh)

    @override
    def of_weights(self, delta: ndarray) -> dict[str, ndarray]:
        found = super().of_weights(delta)
        return found if NOT_PUT_BACK in self.hh_gradient else {**found, "W_hh": self.turned(found["W_hh"])}


class InputWeightsTransposed(LayerFault):
    """W_xh is used transposed, forward and backward{xh_gradient}."""

    alters_forward = True
    hidden_by = ("one unit", "constant weights")
    xh_gradient: str
    needs = (square_input_weights,)

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"xh_gradient": each} for each in ("", f"; its gradient is {NOT_PUT_BACK} transposed back"))

    def _square(self) -> bool:
        return self.W_xh.shape == self.W_hh.shape

    @override
    def input_weights(self) -> ndarray:
        return self.turned(self.W_xh) if self._square() else super().input_weights()

    @override
    def of_weights(self, delta: ndarray) -> dict[str, ndarray]:
        found = super().of_weights(delta)
        put_back = self._square() and NOT_PUT_BACK not in self.xh_gradient
        return {**found, "W_xh": self.turned(found["W_xh"])} if put_back else found


class HalvesSwapped(LayerFault):
    """The concatenated matrix [W_xh; W_hh] is read with its halves swapped, forward and backward: its first rows are
    taken for the state's{halves_gradient}.
    """

    alters_forward = True
    hidden_by = ("constant weights",)
    halves_gradient: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield {"halves_gradient": ""}
        if not square_input_weights(problem):
            yield {"halves_gradient": f"; the gradients are {NOT_PUT_BACK} swapped back"}

    def _halves(self) -> tuple[ndarray, ndarray]:
        H = len(self.W_hh)
        both = np.concatenate([self.W_xh, self.W_hh])  # (I + H, G·H)
        return both[H:], both[:H]

    @override
    def input_weights(self) -> ndarray:
        return self._halves()[0]

    @override
    def recurrent_weights(self) -> ndarray:
        return self._halves()[1]

    @override
    def of_weights(self, delta: ndarray) -> dict[str, ndarray]:
        found = super().of_weights(delta)
        if NOT_PUT_BACK in self.halves_gradient and self.W_xh.shape == self.W_hh.shape:
            return found
        both = np.concatenate([found["W_hh"], found["W_xh"]])  # (H + I, G·H)
        I = len(self.W_xh)
        return {**found, "W_xh": both[:I], "W_hh": both[I:]}


class NoRecurrence(LayerFault):
    """There is no recurrence: h_{{t-1}} W_hh is left out of the forward pass."""

    alters_forward = True
    hidden_by = ("zero recurrent weights",)

    @override
    def recurrent_weights(self) -> ndarray:
        return np.zeros_like(self.W_hh)

    @override
    def state_operand(self) -> ndarray:
        return np.zeros_like(self.cache.before)


class StateNeverUpdated(LayerFault):
    """Every step starts from the initial state: the state is never updated."""

    alters_forward = True
    hidden_by = ("one step",)
    needs = (several_steps,)

    @override
    def next_start(self, after: ndarray) -> ndarray:
        return self.start()

    def next_start_cell(self, cell: ndarray) -> ndarray:
        """The cell of an lstm that the next step starts from."""
        del cell
        return self.start_cell()  # type: ignore[attr-defined]

    @override
    def through_activation(self, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        return super().through_activation(g, np.zeros_like(carried), t)

    @override
    def carry(self, delta: ndarray, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        # Every step hands on to the start, and none to another.
        return carried + super().carry(delta, g, np.zeros_like(carried), t)


class ReadoutBiasLeftOut(NetworkFault):
    """The bias b_y of the readout is left out of the forward pass."""

    alters_forward = True
    hidden_by = ("zero biases",)
    needs = (linear_readout,)

    @override
    def read_out(self, top: ndarray) -> ndarray:
        return super().read_out(top) - self.problem.weights["readout.b_y"]


class InputsReversed(NetworkFault):
    """The inputs are read in reversed order of time{reversed_back}."""

    alters_forward = True
    hidden_by = ("same input at every step",)
    reversed_back: str
    needs = (several_steps,)

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"reversed_back": each} for each in ("", f"; their gradient is {NOT_PUT_BACK} put back in order"))

    @override
    def inputs(self) -> ndarray:
        return super().inputs()[::-1]

    @override
    def backward(self) -> dict[str, ndarray]:
        gradients = super().backward()
        if NOT_PUT_BACK in self.reversed_back:
            return gradients
        return gradients | {"inputs": gradients["inputs"][:, ::-1]}


class ReshapedForTransposed(NetworkFault):
    """The inputs are made time first by a reshape instead of a transpose: sequences and steps are mixed up. Their
    gradient is {inputs_back}.
    """

    alters_forward = True
    hidden_by = ("same input at every step",)

    inputs_back: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"inputs_back": each} for each in ("reshaped back", "transposed back"))

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        sizes = problem.case.sizes
        return "a reshape is a transpose here" if 1 in (sizes.batch, sizes.time) else ""

    @override
    def inputs(self) -> ndarray:
        B, T, I = self.problem.inputs.shape
        return self.problem.inputs.reshape(T, B, I)

    @override
    def backward(self) -> dict[str, ndarray]:
        gradients = super().backward()
        if self.inputs_back == "transposed back":
            return gradients
        time_first = np.ascontiguousarray(gradients["inputs"].swapaxes(0, 1))  # (T, B, I)
        return gradients | {"inputs": time_first.reshape(gradients["inputs"].shape)}


class UpperLayersLeftOut(NetworkFault):
    """Only the first layer is run: the outputs are read from its states, and the layers above it are left out."""

    alters_forward = True
    needs = (several_layers,)

    @override
    def layer_input(self, n: int, below: ndarray) -> ndarray:
        # The others run, so that their gradients have their shapes, and nothing is read from them.
        return below

    @override
    def read_out(self, top: ndarray) -> ndarray:
        self.top = self.layers[0].cache.after
        return super().read_out(self.top)

    @override
    def backward(self) -> dict[str, ndarray]:
        layers, self.layers = self.layers, self.layers[:1]
        gradients = super().backward()
        self.layers = layers
        unused = set(self.structure.gradients) - set(gradients)
        return gradients | {name: np.zeros(self.structure.gradients[name]) for name in unused}


class InitialStateOfFirstLayer(LayerFault):
    """Every layer starts from the initial state of the first layer."""

    alters_forward = True
    hidden_by = ("zero initial state",)
    needs = (several_layers,)

    @override
    def start(self) -> ndarray:
        return self.first.h0

    def start_cell(self) -> ndarray:
        """c_0 of an lstm."""
        return self.first.c0  # type: ignore[attr-defined]


class StateOfLayerBelow(LayerFault):
    """A layer starts from the final state of the layer below instead of its own initial state."""

    alters_forward = True
    needs = (several_layers,)

    @override
    def start(self) -> ndarray:
        return super().start() if self.below is None else self.below.cache.after[-1]

    def start_cell(self) -> ndarray:
        """c_0 of an lstm."""
        own: ndarray = super().start_cell()  # type: ignore[misc]
        return own if self.below is None else self.below.cache.cells[-1]
