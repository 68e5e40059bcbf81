"""Another forward pass, with the backward pass that is right for it: outputs and loss differ, too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.bptt import Layer
from harness.diagnosis.faults.base import LayerFault, NetworkFault
from harness.diagnosis.faults.scale import factors
from harness.diagnosis.faults.upstream import of_all_steps
from harness.problem import Problem
from reference_impls.activations import ACTIVATIONS, Activation


def _no_square(problem: Problem) -> str:
    square = problem.case.layers > 1 or problem.case.sizes.input == problem.case.sizes.hidden
    return "" if square else "no W_xh is square"


class AnotherActivation(LayerFault):
    """The activation is {activation_of}, forward and backward."""

    alters_forward = True
    declare = "activation: {activation_of}"
    activation_of: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"activation_of": each} for each in ACTIVATIONS if each != problem.case.activation)

    @override
    def activation(self) -> Activation:
        return ACTIVATIONS[self.activation_of]


class ForwardActivationOnly(LayerFault):
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
        states = Layer.forward(self, x)
        self.name = name
        return states


class BiasLeftOut(LayerFault):
    """The bias b_h is left out of the forward pass."""

    alters_forward = True
    hidden_by = ("zero biases",)

    @override
    def from_inputs(self, x: ndarray) -> ndarray:
        return super().from_inputs(x) - self.b_h


class BiasTwice(LayerFault):
    """The bias b_h is added twice in the forward pass, as where torch's two biases are both set to it."""

    alters_forward = True
    hidden_by = ("zero biases",)

    @override
    def from_inputs(self, x: ndarray) -> ndarray:
        return super().from_inputs(x) + self.b_h

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


class RecurrentWeightsTransposed(LayerFault):
    """W_hh is used transposed, forward and backward."""

    alters_forward = True
    unlikely = 0
    hidden_by = ("one unit", "constant weights", "zero recurrent weights")

    @override
    def from_state(self, before: ndarray) -> ndarray:
        return before @ self.W_hh.T

    @override
    def carry(self, delta: ndarray, g: ndarray, carried: ndarray, t: int) -> ndarray:
        return delta @ self.W_hh

    @override
    def accumulated(self, weight: str, operand: ndarray | None, delta: ndarray) -> ndarray:
        summed = super().accumulated(weight, operand, delta)
        return summed.T if weight == "W_hh" else summed


class InputWeightsTransposed(LayerFault):
    """W_xh is used transposed, forward and backward."""

    alters_forward = True
    hidden_by = ("one unit", "constant weights")

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return _no_square(problem)

    def _turned(self) -> bool:
        return self.W_xh.shape == self.W_hh.shape

    @override
    def from_inputs(self, x: ndarray) -> ndarray:
        return x @ self.W_xh.T + self.b_h if self._turned() else super().from_inputs(x)

    @override
    def of_inputs(self, delta: ndarray, g: ndarray) -> ndarray:
        return delta @ self.W_xh if self._turned() else super().of_inputs(delta, g)

    @override
    def accumulated(self, weight: str, operand: ndarray | None, delta: ndarray) -> ndarray:
        summed = super().accumulated(weight, operand, delta)
        return summed.T if weight == "W_xh" and self._turned() else summed


class HalvesSwapped(LayerFault):
    """The concatenated matrix [W_xh; W_hh] is read with its halves swapped: its first rows are taken for the
    state's.
    """

    alters_forward = True
    hidden_by = ("constant weights",)

    def _halves(self) -> tuple[ndarray, ndarray]:
        H = len(self.W_hh)
        both = np.concatenate([self.W_xh, self.W_hh])  # (I + H, H)
        return both[H:], both[:H]

    @override
    def from_inputs(self, x: ndarray) -> ndarray:
        return x @ self._halves()[0] + self.b_h

    @override
    def from_state(self, before: ndarray) -> ndarray:
        return before @ self._halves()[1]

    @override
    def carry(self, delta: ndarray, g: ndarray, carried: ndarray, t: int) -> ndarray:
        return delta @ self._halves()[1].T

    @override
    def of_inputs(self, delta: ndarray, g: ndarray) -> ndarray:
        return delta @ self._halves()[0].T

    @override
    def backward(self, g: ndarray) -> ndarray:
        d_x = super().backward(g)
        both = np.concatenate([self.gradients["W_hh"], self.gradients["W_xh"]])  # (H + I, H)
        I = len(self.W_xh)
        self.gradients |= {"W_xh": both[:I], "W_hh": both[I:]}
        return d_x


class NoRecurrence(LayerFault):
    """There is no recurrence: h_{{t-1}} W_hh is left out of the forward pass."""

    alters_forward = True
    hidden_by = ("zero recurrent weights",)

    @override
    def from_state(self, before: ndarray) -> ndarray:
        return np.zeros_like(before)

    @override
    def carry(self, delta: ndarray, g: ndarray, carried: ndarray, t: int) -> ndarray:
        return np.zeros_like(delta)

    @override
    def state_operand(self) -> ndarray:
        return np.zeros_like(self.tape.before)


class StateNeverUpdated(LayerFault):
    """Every step starts from the initial state: the state is never updated."""

    alters_forward = True
    hidden_by = ("one step",)

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "there is only one step" if problem.case.sizes.time == 1 else ""

    @override
    def from_inputs(self, x: ndarray) -> ndarray:
        return super().from_inputs(x) + self.from_start()

    def from_start(self) -> ndarray:
        """h_0 W_hh: (B, H)."""
        return super().from_state(self.start())

    @override
    def from_state(self, before: ndarray) -> ndarray:
        return np.zeros_like(before)

    @override
    def carry(self, delta: ndarray, g: ndarray, carried: ndarray, t: int) -> ndarray:
        return carried + super().carry(delta, g, carried, t)

    @override
    def total(self, g: ndarray, carried: ndarray, t: int) -> ndarray:
        return g[t]

    @override
    def state_operand(self) -> ndarray:
        return np.broadcast_to(self.start(), self.tape.before.shape)


class ReadoutBiasLeftOut(NetworkFault):
    """The bias b_y of the readout is left out of the forward pass."""

    alters_forward = True
    hidden_by = ("zero biases",)

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "" if problem.case.readout == "linear" else "there is no readout"

    @override
    def read_out(self, top: ndarray) -> ndarray:
        return super().read_out(top) - self.problem.weights["readout.b_y"]


class InputsReversed(NetworkFault):
    """The inputs are read in reversed order of time."""

    alters_forward = True
    hidden_by = ("same input at every step",)

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "there is only one step" if problem.case.sizes.time == 1 else ""

    @override
    def inputs(self) -> ndarray:
        return super().inputs()[::-1]

    @override
    def backward(self) -> dict[str, ndarray]:
        gradients = super().backward()
        return gradients | {"inputs": gradients["inputs"][:, ::-1]}


class ReshapedForTransposed(NetworkFault):
    """The inputs are made time first by a reshape, where a transpose belongs: sequences and steps are mixed up. Their
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

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "" if problem.case.layers > 1 else "there is only one layer"

    @override
    def layer_input(self, n: int, below: ndarray) -> ndarray:
        # The others run, so that their gradients have their shapes, and nothing is read from them.
        return below

    @override
    def read_out(self, top: ndarray) -> ndarray:
        self.top = self.layers[0].tape.after
        return super().read_out(self.top)

    @override
    def backward(self) -> dict[str, ndarray]:
        layers, self.layers = self.layers, self.layers[:1]
        gradients = super().backward()
        self.layers = layers
        unused = set(self.structure.gradients) - set(gradients)
        return gradients | {name: np.zeros(self.structure.gradients[name]) for name in unused}


class TargetsOfAnotherStep(NetworkFault):
    """Each output is held against the target of the step {targets_of}."""

    alters_forward = True
    hidden_by = ("same target at every step",)
    targets_of: str

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        if problem.case.loss.kind == "dot":
            return "the loss dot has no targets"
        return "there is only one step" if problem.case.sizes.time == 1 else ""

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield {"targets_of": "before, the first against the last"}
        if problem.case.sizes.time > 2:
            yield {"targets_of": "after, the last against the first"}

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        shift = 1 if self.targets_of.startswith("before") else -1
        return _loss_with(self, np.roll(self.problem.targets, shift, axis=1), outputs)


class InitialStateOfFirstLayer(LayerFault):
    """Every layer starts from the initial state of the first layer."""

    alters_forward = True
    hidden_by = ("zero initial state",)

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "" if problem.case.layers > 1 else "there is only one layer"

    @override
    def start(self) -> ndarray:
        return self.first.h0


class StateOfLayerBelow(LayerFault):
    """A layer starts from the state that the layer below it ended with, where it should start from its own."""

    alters_forward = True

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "" if problem.case.layers > 1 else "there is only one layer"

    @override
    def start(self) -> ndarray:
        return super().start() if self.below is None else self.below.tape.after[-1]


class LossOfAllSteps(NetworkFault):
    """The loss covers every step, though the case's covers only some."""

    alters_forward = True
    declare = "loss: {{steps: all}}"

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "" if len(problem.case.steps) < problem.case.sizes.time else "the loss covers all steps"

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        return of_all_steps(self.problem, outputs)


class LossOfLastStep(NetworkFault):
    """The loss covers the last step alone, though the case's covers more."""

    alters_forward = True
    declare = "loss: {{steps: [-1]}}"

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "" if len(problem.case.steps) > 1 else "the loss covers only one step"

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        case = self.problem.case
        last = replace(case, loss=replace(case.loss, steps=(-1,)))
        loss, d_outputs = replace(self.problem, case=last).loss(np.ascontiguousarray(outputs.swapaxes(0, 1)))
        return loss, d_outputs.swapaxes(0, 1)


class LossScaled(NetworkFault):
    """The loss and every gradient are {loss_scaled_by} as large as they should be, as of another reduction."""

    alters_forward = True
    unlikely = 0
    loss_scaled_by: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"loss_scaled_by": each} for each in factors(problem))

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        loss, d_outputs = super().loss_of(outputs)
        factor = factors(self.problem)[self.loss_scaled_by]
        return loss * factor, d_outputs * factor


class SoftmaxOverWrongAxis(NetworkFault):
    """The softmax is taken over {softmax_axis}, where it belongs over the classes."""

    alters_forward = True
    softmax_axis: str

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "" if problem.case.loss.kind == "softmax_cross_entropy" else "the loss is not softmax_cross_entropy"

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"softmax_axis": each} for each in ("the steps", "the batch"))

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        axis = 0 if self.softmax_axis == "the steps" else 1
        shifted = outputs - outputs.max(axis=axis, keepdims=True)  # (T, B, O)
        exponentials = np.exp(shifted)  # (T, B, O)
        sums = exponentials.sum(axis=axis, keepdims=True)
        covered = self.problem.covered.T  # (T, B)
        terms = covered.sum() if self.problem.case.loss.reduction == "mean" else 1
        picked = np.zeros_like(outputs)  # (T, B, O): onehot(label) where the loss looks
        np.put_along_axis(
            picked, self.problem.targets.T[:, :, None], covered[:, :, None].astype(outputs.dtype), axis=-1
        )
        loss = -(picked * (shifted - np.log(sums))).sum() / terms
        # d/dy of −log softmax along the axis, summed over what was picked: p Σ picked − picked.
        p = exponentials / sums
        return np.asarray(loss), (p * picked.sum(axis=axis, keepdims=True) - picked) / terms


class SigmoidForSoftmax(NetworkFault):
    """The loss takes the sigmoid of each output, where the softmax over the classes belongs."""

    alters_forward = True
    unlikely = 2

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "" if problem.case.loss.kind == "softmax_cross_entropy" else "the loss is not softmax_cross_entropy"

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        covered = self.problem.covered.T  # (T, B)
        terms = covered.sum() if self.problem.case.loss.reduction == "mean" else 1
        picked = np.zeros_like(outputs)  # (T, B, O)
        np.put_along_axis(
            picked, self.problem.targets.T[:, :, None], covered[:, :, None].astype(outputs.dtype), axis=-1
        )
        # −Σ picked log σ(y) − Σ (1 − picked) log(1 − σ(y)), of the steps that are covered.
        losses = np.logaddexp(0, outputs) - picked * outputs  # (T, B, O)
        p = ACTIVATIONS["sigmoid"].value(np.array(outputs), np.empty_like(outputs))  # (T, B, O)
        where = covered[:, :, None]
        return np.asarray((losses * where).sum() / terms), (p - picked) * where / terms


class OverflowingExponential(NetworkFault):
    """The softmax is taken without a shift, and its exponential overflows."""

    alters_forward = True
    hidden_by = ("nothing overflows",)

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "" if problem.case.loss.kind == "softmax_cross_entropy" else "the loss is not softmax_cross_entropy"

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        loss, d_outputs = super().loss_of(outputs)
        with np.errstate(all="ignore"):
            # In the dtype of the case, where it overflows sooner.
            exponentials = np.exp(outputs.astype(self.problem.case.dtype))  # (T, B, O)
            p = exponentials / exponentials.sum(axis=-1, keepdims=True)  # (T, B, O): NaN where it overflowed
            log = np.log(np.take_along_axis(p, self.problem.targets.T[:, :, None], axis=-1))[:, :, 0]  # (T, B)
        covered = self.problem.covered.T  # (T, B)
        overflowed = np.isnan(p) & covered[:, :, None]
        d_outputs = np.where(overflowed, np.nan, d_outputs)
        return (loss if np.isfinite(log[covered]).all() else np.asarray(np.nan, loss.dtype)), d_outputs


def _loss_with(network: NetworkFault, targets: ndarray, outputs: ndarray) -> tuple[ndarray, ndarray]:
    loss, d_outputs = replace(network.problem, targets=targets).loss(np.ascontiguousarray(outputs.swapaxes(0, 1)))
    return loss, d_outputs.swapaxes(0, 1)
