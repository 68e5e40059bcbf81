"""Another forward pass of a gated cell, and the backward pass of the case's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.cells import Layer, layer_kind
from harness.diagnosis.faults.base import GatedFault, LayerFault, suspects_of
from harness.diagnosis.faults.gates import AnotherGateActivation
from harness.diagnosis.faults.gru_forward import (
    RecurrentBiasOutsideReset,
    ResetAfterTheProduct,
    ResetBeforeTheProduct,
    ResetLeftOut,
    UpdateGateSwapped,
)
from harness.diagnosis.faults.lstm_forward import CellNotKept, InputGateCoupled
from harness.problem import Problem

OTHERS: tuple[type[LayerFault], ...] = (
    UpdateGateSwapped,
    ResetLeftOut,
    ResetBeforeTheProduct,
    ResetAfterTheProduct,
    RecurrentBiasOutsideReset,
    CellNotKept,
    InputGateCoupled,
    AnotherGateActivation,
)
"""The forward passes that a backward pass is not always written for."""


class ForwardAlone(GatedFault):
    """In the forward pass alone, while the backward pass is that of the case: {alone_forward}."""

    alters_forward = True
    alone_forward: str
    kinds: ClassVar[dict[tuple[type[Layer], str], type[Layer]]] = {}

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        right = layer_kind(problem.structure)
        for fault in OTHERS:
            for suspect in suspects_of(fault, problem):
                if suspect.layer is None:
                    text = suspect.explanation.replace(", forward and backward", "").rstrip(".")
                    cls.kinds[right, text] = type("Forward", (suspect.fault, right), {})
                    yield {"alone_forward": text}

    @override
    def forward(self, x: ndarray) -> ndarray:
        right = next(kind for kind in type(self).__mro__ if (kind, self.alone_forward) in self.kinds)
        other = self.kinds[right, self.alone_forward](self.parameters, self.name)
        states = other.forward(x)
        self.tape = self.taken(other.tape)
        return states
