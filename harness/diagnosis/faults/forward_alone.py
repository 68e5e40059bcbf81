"""Another forward pass with the backward pass of the case."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.cells import CellLayer, GruAfterLayer, layer_kind
from harness.diagnosis.faults.base import LayerFault, suspects_of
from harness.diagnosis.faults.forward import (
    BiasTwice,
    HalvesSwapped,
    InputWeightsTransposed,
    NoRecurrence,
    RecurrentWeightsTransposed,
    StateNeverUpdated,
)
from harness.diagnosis.faults.gates import AnotherGateActivation, BiasOfOneGate, GatesReadInAnotherOrder
from harness.diagnosis.faults.gru_forward import (
    BiasInsideReset,
    RecurrentBiasOutsideReset,
    ResetAfterTheProduct,
    ResetBeforeTheProduct,
    ResetLeftOut,
    UpdateGateSwapped,
)
from harness.diagnosis.faults.lstm_forward import CellNotKept, InitialStatesSwapped, InputGateCoupled
from harness.problem import Problem

OTHERS: tuple[type[LayerFault], ...] = (
    RecurrentWeightsTransposed,
    InputWeightsTransposed,
    HalvesSwapped,
    BiasTwice,
    NoRecurrence,
    StateNeverUpdated,
    UpdateGateSwapped,
    ResetLeftOut,
    ResetBeforeTheProduct,
    ResetAfterTheProduct,
    RecurrentBiasOutsideReset,
    CellNotKept,
    InputGateCoupled,
    AnotherGateActivation,
    BiasInsideReset,
    BiasOfOneGate,
    GatesReadInAnotherOrder,
    InitialStatesSwapped,
)
"""The forward passes that a backward pass is not always written for."""


class ForwardAlone(LayerFault):
    """In the forward pass alone, while the backward pass is that of the case: {alone_forward}."""

    alters_forward = True
    alone_forward: str
    kinds: ClassVar[dict[tuple[type[CellLayer], str], tuple[type[CellLayer], bool]]] = {}

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        right = layer_kind(problem.structure)
        texts: dict[str, None] = {}
        for fault in OTHERS:
            for suspect in suspects_of(fault, problem):
                if suspect.layer is None:
                    # The rest describes the backward pass, or is a comment.
                    text = (
                        suspect.explanation.partition(", forward and backward")[0]
                        .partition(" To compare,")[0]
                        .rstrip(".")
                    )
                    for words, anew in _of_product(fault, right):
                        texts[text + words] = None
                        cls.kinds.setdefault((right, text + words), (type("Forward", (suspect.fault, right), {}), anew))
        yield from ({"alone_forward": text} for text in texts)

    @override
    def forward(self, x: ndarray) -> ndarray:
        right = next(kind for kind in type(self).__mro__ if (kind, self.alone_forward) in self.kinds)
        kind, anew = self.kinds[right, self.alone_forward]
        other = kind(self.parameters, self.name)
        states = other.forward(x)
        self.cache = self.taken(other.cache) if anew else other.cache
        return states


def _of_product(fault: type[LayerFault], right: type[CellLayer]) -> tuple[tuple[str, bool], ...]:
    """Return the words for the reused parts of another forward pass, and whether q_t of a gru is computed anew."""
    product = {"recurrent_weights", "recurrent_bias", "under_reset"} & set(vars(fault))
    if issubclass(right, GruAfterLayer) and product:
        return ("", True), (", and the backward pass reuses its factor of r_t", False)
    return (("", True),)
