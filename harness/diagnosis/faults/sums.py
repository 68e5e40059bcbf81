"""Faults of the sums over steps and sequences that make a weight's gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.cells import summed_products
from harness.diagnosis.faults.base import LayerFault, NetworkFault, RnnFault
from harness.diagnosis.faults.needs import (
    linear_readout,
    loss_at_several_steps,
    several_layers,
    several_sequences,
    several_steps,
)
from harness.problem import Problem

WEIGHTS = ("W_xh", "W_hh", "b_h", "b_hn")


def _each_weight_and_all(parameter: str, problem: Problem) -> Iterator[dict[str, Any]]:
    weights = [weight for weight in WEIGHTS if f"layer0.{weight}" in problem.weights]
    yield {parameter: ", ".join(weights)}
    yield from ({parameter: weight} for weight in weights)


def _among(weights: str, weight: str) -> bool:
    return weight in weights.split(", ")


def _rows(operand: ndarray | None, rows: slice) -> ndarray | None:
    return None if operand is None else operand[rows]


class FirstStepLeftOut(LayerFault):
    """The first step is left out of the sums for {without_first}: the loop ends one step early."""

    unlikely = 0
    hidden_by = ("no gradient reaches the initial state",)
    without_first: str
    needs = (several_steps,)

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        # For W_hh alone, that is initial-state-left-out.
        yield from (each for each in _each_weight_and_all("without_first", problem) if each["without_first"] != "W_hh")

    @override
    def accumulated(self, weight: str, operand: ndarray | None, delta: ndarray) -> ndarray:
        rows = slice(1 if _among(self.without_first, weight) else 0, None)
        return super().accumulated(weight, _rows(operand, rows), delta[rows])


class LastStepLeftOut(LayerFault):
    """The last step is left out of the sums for {without_last}."""

    hidden_by = ("loss at the first step alone",)

    without_last: str
    needs = (several_steps,)

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from _each_weight_and_all("without_last", problem)

    @override
    def accumulated(self, weight: str, operand: ndarray | None, delta: ndarray) -> ndarray:
        rows = slice(0, -1 if _among(self.without_last, weight) else None)
        return super().accumulated(weight, _rows(operand, rows), delta[rows])


class AccumulatorOverwritten(LayerFault):
    """Each step overwrites the gradient of {overwritten} instead of adding to it: only the first step's is left."""

    hidden_by = ("loss at the first step alone",)

    unlikely = 0
    overwritten: str
    needs = (several_steps,)

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from _each_weight_and_all("overwritten", problem)

    @override
    def accumulated(self, weight: str, operand: ndarray | None, delta: ndarray) -> ndarray:
        rows = slice(0, 1 if _among(self.overwritten, weight) else None)
        return super().accumulated(weight, _rows(operand, rows), delta[rows])


class AccumulatorDoubled(LayerFault):
    """The gradient of {doubled} is twice the first step's: each step overwrites it and then adds it to itself."""

    unlikely = 2
    hidden_by = ("loss at the first step alone",)
    needs = (several_steps,)
    doubled: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from _each_weight_and_all("doubled", problem)

    @override
    def accumulated(self, weight: str, operand: ndarray | None, delta: ndarray) -> ndarray:
        if not _among(self.doubled, weight):
            return super().accumulated(weight, operand, delta)
        return 2 * super().accumulated(weight, _rows(operand, slice(0, 1)), delta[:1])


class LastStepOnly(LayerFault):
    """The gradient of {last_step_of} is that of the last step alone."""

    last_step_of: str
    needs = (several_steps,)

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from _each_weight_and_all("last_step_of", problem)

    @override
    def accumulated(self, weight: str, operand: ndarray | None, delta: ndarray) -> ndarray:
        rows = slice(-1 if _among(self.last_step_of, weight) else 0, None)
        return super().accumulated(weight, _rows(operand, rows), delta[rows])


class OneSequenceOnly(LayerFault):
    """The gradient of {one_sequence_of} is that of the {which_sequence} sequence alone, not the sum over the batch."""

    one_sequence_of: str
    which_sequence: str
    needs = (several_sequences,)

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        for which in ("first", "last"):
            for each in _each_weight_and_all("one_sequence_of", problem):
                yield {**each, "which_sequence": which}

    @override
    def accumulated(self, weight: str, operand: ndarray | None, delta: ndarray) -> ndarray:
        if _among(self.one_sequence_of, weight):
            b = slice(0, 1) if self.which_sequence == "first" else slice(-1, None)
            operand = None if operand is None else operand[:, b]
            delta = delta[:, b]
        return super().accumulated(weight, operand, delta)


class ElementwiseForOuter(RnnFault):
    """The gradient of W_hh multiplies δ_t and h_{{t-1}} element by element, and repeats the product in every
    {repeated_in}; it should be their outer product.
    """

    hidden_by = ("one unit",)
    repeated_in: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"repeated_in": each} for each in ("column", "row"))

    @override
    def accumulated(self, weight: str, operand: ndarray | None, delta: ndarray) -> ndarray:
        if weight != "W_hh" or operand is None:
            return super().accumulated(weight, operand, delta)
        product = np.broadcast_to((operand * delta).sum(axis=(0, 1)), self.W_hh.shape)  # (H, H)
        return product.T if self.repeated_in == "column" else product


class StateAfterForStateBefore(LayerFault):
    """The gradient of W_hh multiplies δ_t with h_t instead of h_{{t-1}}."""

    unlikely = 0
    hidden_by = ("same state at every step",)
    replaces = "h_{t-1}"

    @override
    def state_operand(self) -> ndarray:
        return self.cache.after


class StateBeforeFirstFromEnd(LayerFault):
    """The gradient of W_hh takes the state before the first step from the end of the array: h_T for h_0."""

    unlikely = 0
    hidden_by = ("same state at every step", "no gradient reaches the initial state")
    replaces = "h_0"

    @override
    def state_operand(self) -> ndarray:
        return np.concatenate([self.cache.after[-1:], super().state_operand()[1:]])


class StateBeforeFirstIsFirst(LayerFault):
    """The gradient of W_hh takes the state after the first step for the state before it: h_1 for h_0. All other steps
    are right.
    """

    hidden_by = ("same state at every step", "no gradient reaches the initial state")
    replaces = "h_0"
    needs = (several_steps,)

    @override
    def state_operand(self) -> ndarray:
        return np.concatenate([self.cache.after[:1], super().state_operand()[1:]])


class InitialStateLeftOut(LayerFault):
    """The gradient of W_hh takes the state before the first step as zero: the sum leaves the first step out."""

    unlikely = 0
    hidden_by = ("zero initial state", "no gradient reaches the initial state")
    replaces = "h_0"

    @override
    def state_operand(self) -> ndarray:
        before = super().state_operand().copy()
        before[0] = 0
        return before


class StateTwoStepsBefore(LayerFault):
    """The gradient of W_hh multiplies δ_t with h_{{t-2}} instead of h_{{t-1}}."""

    hidden_by = (
        "loss at the first step alone",
        "same state at every step",
    )
    replaces = "h_{t-1}"
    needs = (several_steps,)

    @override
    def state_operand(self) -> ndarray:
        before = super().state_operand()
        return np.concatenate([before[:1], before[:-1]])


class StateBeforeOverwritten(LayerFault):
    """The gradient of W_hh has the last state, h_T, at every step: one array keeps the states of all steps, and each
    step overwrites it.
    """

    unlikely = 0
    hidden_by = ("same state at every step",)
    replaces = "h_{t-1}"
    needs = (several_steps,)

    @override
    def state_operand(self) -> ndarray:
        return np.broadcast_to(self.cache.after[-1:], self.cache.after.shape)


class OwnStateForInput(LayerFault):
    """The gradient of W_xh multiplies δ_t with the layer's own state h_t instead of its input."""

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        square = problem.case.layers > 1 or problem.case.sizes.input == problem.case.sizes.hidden
        return "" if square else "no layer's input is as wide as its state"

    @override
    def input_operand(self) -> ndarray:
        x = super().input_operand()
        return self.cache.after if x.shape == self.cache.after.shape else x


class BatchReducedBeforeProduct(LayerFault):
    """The gradient of {reduced_products} is the product of two {reduction_before} over the batch, not the sum of
    products.
    """

    reduced_products: str
    reduction_before: str
    needs = (several_sequences,)

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        for which in ("W_xh, W_hh", "W_xh", "W_hh"):
            yield from ({"reduced_products": which, "reduction_before": how} for how in ("sums", "means"))

    @override
    def accumulated(self, weight: str, operand: ndarray | None, delta: ndarray) -> ndarray:
        if operand is None or not _among(self.reduced_products, weight):
            return super().accumulated(weight, operand, delta)
        how = np.sum if self.reduction_before == "sums" else np.mean
        reduced = how(operand, axis=1, keepdims=True), how(delta, axis=1, keepdims=True)  # (T, 1, K), (T, 1, H)
        return super().accumulated(weight, *reduced)


class InputOfAnotherStep(LayerFault):
    """The gradient of W_xh multiplies δ_t with the input of the step {input_of}."""

    hidden_by = ("same input at every step",)
    input_of: str
    needs = (several_steps,)

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from (
            {"input_of": each}
            for each in (
                "before (zero before the first)",
                "before (the last before the first)",
                "after (zero after the last)",
                "after (the first after the last)",
                "after (its own after the last)",
            )
        )

    @override
    def input_operand(self) -> ndarray:
        x = super().input_operand()
        moved = np.roll(x, 1 if self.input_of.startswith("before") else -1, axis=0)
        if "its own" in self.input_of:
            moved[-1] = x[-1]
        if "zero" in self.input_of:
            moved[0 if self.input_of.startswith("before") else -1] = 0
        return moved


class BroadcastForOuterProduct(LayerFault):
    """The gradient of W_hh is an elementwise product repeated over the rows, h_j δ_j, instead of the outer product h_i
    δ_j.
    """

    hidden_by = ("one unit",)

    @override
    def accumulated(self, weight: str, operand: ndarray | None, delta: ndarray) -> ndarray:
        if weight != "W_hh" or operand is None:
            return super().accumulated(weight, operand, delta)
        blocks = delta.shape[-1] // operand.shape[-1]
        row = (np.tile(operand, blocks) * delta).sum(axis=(0, 1))  # (H,) for each block
        return np.broadcast_to(row, (len(self.W_hh), len(row))).copy()


class BiasSummedOverWrongAxis(LayerFault):
    """The gradient of the bias sums δ over its units instead of {bias_axis}."""

    bias_axis: str
    hidden_by = ("one unit",)
    cells = ("rnn",)

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        sizes = problem.case.sizes
        return (
            "" if sizes.hidden in (sizes.batch, sizes.time) else "neither the batch nor the time is as long as the bias"
        )

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        sizes = problem.case.sizes
        if sizes.hidden == sizes.batch:
            yield {"bias_axis": "the batch"}
        if sizes.hidden == sizes.time:
            yield {"bias_axis": "the steps"}

    @override
    def accumulated(self, weight: str, operand: ndarray | None, delta: ndarray) -> ndarray:
        if weight != "b_h":
            return super().accumulated(weight, operand, delta)
        summed = delta.sum(axis=(0, 2) if self.bias_axis == "the batch" else (1, 2))
        # With another fault that leaves out steps or sequences it does not fit, and cannot have been done.
        return summed if summed.shape == self.b_h.shape else super().accumulated(weight, operand, delta)


class ReadoutStateOfStepBefore(NetworkFault):
    """The gradient of W_hy multiplies the output error of a step with the state before it."""

    hidden_by = ("same state at every step",)
    needs = (linear_readout,)

    @override
    def readout_operand(self) -> ndarray:
        return self.layers[-1].cache.before


class ReadoutOfPreActivation(NetworkFault):
    """The gradient of W_hy multiplies the output error with the pre-activation a_t instead of h_t."""

    hidden_by = ("slope of one",)
    cells = ("rnn",)
    needs = (linear_readout,)

    @override
    def readout_operand(self) -> ndarray:
        return self.layers[-1].cache.pre


class ReadoutOfFirstLayer(NetworkFault):
    """The gradient of W_hy multiplies the output error with the first layer's states instead of the last layer's."""

    needs = (linear_readout, several_layers)

    @override
    def readout_operand(self) -> ndarray:
        return self.layers[0].cache.after


class ReadoutOverwritten(NetworkFault):
    """The gradient of {readout_overwritten} is that of the {readout_step} step of the loss alone: each step overwrites
    it instead of adding to it.
    """

    readout_overwritten: str
    readout_step: str
    needs = (linear_readout, loss_at_several_steps)

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        for weights in ("W_hy, b_y", "W_hy", "b_y"):
            yield from ({"readout_overwritten": weights, "readout_step": which} for which in ("first", "last"))

    @override
    def accumulated(self, weight: str, operand: ndarray | None, delta: ndarray) -> ndarray:
        if not _among(self.readout_overwritten, weight):
            return super().accumulated(weight, operand, delta)
        steps = self.problem.case.steps
        t = steps[0 if self.readout_step == "first" else -1]
        return summed_products(_rows(operand, slice(t, t + 1)), delta[t : t + 1])
