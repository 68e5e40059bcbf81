"""Faults of sequences of unequal length, in the padding behind a sequence's end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.faults.base import NetworkFault
from harness.diagnosis.faults.needs import both_directions, padding
from harness.diagnosis.wrapped import WrappedNetwork
from harness.problem import Problem
from reference_impls.losses import LOSSES, number_of_terms


class _PaddingFault(NetworkFault, WrappedNetwork):
    """A fault that only sequences with padding can have."""

    needs = (padding,)

    def loss_covering(self, covered: ndarray, outputs: ndarray) -> tuple[ndarray, ndarray]:
        """The loss and d_outputs (T, B, O) of outputs (T, B, O), had it covered these steps, (B, T) of bool."""
        loss = self.problem.case.loss
        given = np.ascontiguousarray(outputs.swapaxes(0, 1))  # (B, T, O)
        value, d_outputs = LOSSES[loss.kind](given, self.problem.targets, covered, loss.reduction)
        return value, d_outputs.swapaxes(0, 1)

    def steps_of_all(self) -> ndarray:
        """The steps that the loss covers, in every sequence, padding or not: (B, T) of bool."""
        covered = np.zeros_like(self.problem.covered)
        covered[:, list(self.problem.case.steps)] = True
        return covered


class LengthsIgnored(_PaddingFault):
    """The padding behind a sequence's end is run over and has a loss, as if it were steps."""

    alters_forward = True
    without_loss = "The padding behind a sequence's end is run over and has a gradient, as if it were steps."
    unlikely = 0

    @override
    def ends(self) -> ndarray:
        return np.full_like(super().ends(), self.structure.time)

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        return self.loss_covering(self.steps_of_all(), outputs)


class PaddingCarriedBack(_PaddingFault):
    """The padding behind a sequence's end is left out of the loss, but its gradient is carried back."""

    alters_forward = True
    without_loss = "The gradient of the padding behind a sequence's end is carried back."
    unlikely = 0

    @override
    def ends(self) -> ndarray:
        return np.full_like(super().ends(), self.structure.time)

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        loss, _ = super().loss_of(outputs)
        return loss, self.loss_covering(self.steps_of_all(), outputs)[1]

    @override
    def tensors(self) -> dict[str, ndarray]:
        found = super().tensors()
        return found | {"outputs": np.where(self.problem.valid[:, :, None], found["outputs"], 0)}


class LossOverPadding(_PaddingFault):
    """The loss covers the padding behind a sequence's end, too, where the outputs are {in_padding}."""

    alters_forward = True
    without_loss = (
        "The gradient of the outputs is that of a loss over the padding, too, where the outputs are {in_padding}."
    )
    in_padding: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield {"in_padding": "zero"}
        if problem.case.readout == "linear":
            yield {"in_padding": "the bias of the readout"}

    @override
    def upstream(self, d_outputs: ndarray) -> ndarray:
        return super().upstream(d_outputs) if self.in_padding == "zero" else d_outputs

    @override
    def through_readout(self, d_outputs: ndarray) -> ndarray:
        there = self.problem.valid.T[:, :, None]  # (T, B, 1)
        return np.where(there, super().through_readout(d_outputs), 0)  # the states are constants past the ends

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        loss = problem.case.loss
        nothing_added = loss.kind == "dot" and loss.reduction == "sum"
        return "outputs of zero add nothing to a dot" if nothing_added else ""

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        there = self.problem.valid.T[:, :, None]  # (T, B, 1)
        if self.in_padding != "zero":
            outputs = np.where(there, outputs, self.problem.weights["readout.b_y"])
        return self.loss_covering(self.steps_of_all(), outputs)


class MeanOverPadding(_PaddingFault):
    """The mean of the loss divides by the steps of all sequences, padding among them."""

    alters_forward = True
    without_loss = "The gradient of the outputs is divided by the steps of all sequences, padding among them."
    unlikely = 0

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "the loss is a sum" if problem.case.loss.reduction == "sum" else ""

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        loss, d_outputs = super().loss_of(outputs)
        kind, width = self.problem.case.loss.kind, outputs.shape[2]
        there = number_of_terms(kind, int(self.problem.covered.sum()), width)
        share = there / number_of_terms(kind, int(self.steps_of_all().sum()), width)
        return loss * share, d_outputs * share


class StepsFromOwnEnds(_PaddingFault):
    """The negative steps of the loss are counted from each sequence's own end instead of sizes.time."""

    alters_forward = True
    without_loss = (
        "The gradient of the outputs is that of steps counted from each sequence's own end instead of sizes.time."
    )
    unlikely = 0

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        steps = problem.case.loss.steps
        counts = steps != "all" and min(steps) < 0
        return "" if counts else "no step of the loss is counted from the end"

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        covered, steps = np.zeros_like(self.problem.covered), self.problem.case.loss.steps
        assert steps != "all"
        for b, length in enumerate(self.problem.lengths if self.problem.lengths is not None else ()):
            own = (step if step >= 0 else step + int(length) for step in steps)
            covered[b, [step for step in own if 0 <= step < length]] = True
        return self.loss_covering(covered, outputs)


class ReverseStartsInPadding(_PaddingFault):
    """The reverse direction begins with the padding behind a sequence's end instead of the sequence's last step."""

    alters_forward = True
    unlikely = 0
    needs = (both_directions,)

    @override
    def runs_over(self, direction: int) -> ndarray:
        lengths = super().runs_over(direction)
        return np.full_like(lengths, self.structure.time) if direction else lengths


class OutputsPastEnds(_PaddingFault):
    """The outputs past a sequence's end are {outputs_past_ends}; they should be zero."""

    alters_forward = True
    unlikely = 0
    outputs_past_ends: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield {"outputs_past_ends": "the last output, repeated"}
        if problem.case.readout == "linear":
            yield {"outputs_past_ends": "the bias of the readout"}
        if problem.structure.directions == 1:
            yield {"outputs_past_ends": "the recursion's results for the padding"}

    @override
    def past_ends(self, outputs: ndarray) -> ndarray:
        zeros = super().past_ends(outputs)  # (T, B, O)
        there = self.problem.valid.T[:, :, None]  # (T, B, 1)
        if self.outputs_past_ends == "the last output, repeated":
            last = zeros[self.ends() - 1, np.arange(len(self.ends()))]  # (B, O)
            return np.where(there, zeros, last)
        if self.outputs_past_ends == "the bias of the readout":
            return np.where(there, zeros, outputs)  # a readout of states that are zero there
        case = replace(self.problem.case, lengths=None)
        whole = WrappedNetwork(replace(self.problem, case=case))
        whole.forward()
        return np.where(there, zeros, whole.outputs)


class SequencesLeftSorted(_PaddingFault):
    """The sequences are sorted by length, the longest first, and their outputs are not put back in order."""

    alters_forward = True

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        lengths = problem.lengths
        sorted_already = lengths is not None and bool((np.diff(lengths) <= 0).all())
        return "the sequences are sorted by length" if sorted_already else ""

    def by_length(self) -> ndarray:
        """The sequences, the longest first: (B,)."""
        return np.argsort(-self.ends(), kind="stable")

    @override
    def past_ends(self, outputs: ndarray) -> ndarray:
        return super().past_ends(outputs)[:, self.by_length()]

    @override
    def upstream(self, d_outputs: ndarray) -> ndarray:
        back = np.argsort(self.by_length())  # (B,)
        return super().upstream(d_outputs[:, back])
