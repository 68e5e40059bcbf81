"""Faults of bidirectional layers: in the step order of the reverse direction, and in the halves of directions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.faults.base import NetworkFault
from harness.diagnosis.faults.forward import NOT_PUT_BACK
from harness.diagnosis.faults.needs import both_directions, several_steps
from harness.diagnosis.wrapped import WrappedNetwork
from harness.problem import Problem


class _DirectionFault(NetworkFault, WrappedNetwork):
    """A fault that only a bidirectional layer can have."""

    needs = (both_directions,)


class _OrderFault(_DirectionFault):
    """A fault that shows only where steps have an order."""

    needs = (several_steps,)


class ReverseOutputsNotRealigned(_OrderFault):
    """The outputs of the reverse direction stay in its own order, the last step first, as Keras' go_backwards
    returns them{realigned_back}.
    """

    alters_forward = True
    unlikely = 0
    realigned_back: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        alone = f", in the forward pass alone: their gradient does {NOT_PUT_BACK} come in that order"
        yield from ({"realigned_back": each} for each in ("", alone))

    @override
    def realigned(self, outputs: ndarray) -> ndarray:
        return outputs

    @override
    def to_backward(self, g: ndarray) -> ndarray:
        return super().to_backward(g) if NOT_PUT_BACK in self.realigned_back else g


class ReverseRunsForward(_OrderFault):
    """The reverse direction runs forward in time, too: the order of its steps is never reversed."""

    alters_forward = True

    @override
    def turned_round(self, tensor: ndarray) -> ndarray:
        return tensor


class ReverseGradientInForwardOrder(_OrderFault):
    """The gradient of the reverse direction's outputs reaches it in forward order, though it ran from the end."""

    unlikely = 0

    @override
    def to_backward(self, g: ndarray) -> ndarray:
        return g


class ReverseInputsGradientNotRealigned(_OrderFault):
    """The gradient of the inputs that comes from the reverse direction is added in that direction's own order."""

    unlikely = 0

    @override
    def from_backward(self, d_x: ndarray) -> ndarray:
        return d_x


class InputsOfOneDirection(_DirectionFault):
    """The gradient of a layer's inputs is that of its {one_direction} direction alone."""

    one_direction: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"one_direction": each} for each in ("forward", "reverse"))

    @override
    def of_inputs(self, d_forth: ndarray, d_back: ndarray) -> ndarray:
        return d_forth if self.one_direction == "forward" else d_back


class DirectionsSwapped(_DirectionFault):
    """The states of the reverse direction stand first, those of the forward direction behind them{halves_back}."""

    alters_forward = True
    halves_back: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from (
            {"halves_back": each}
            for each in ("", f", in the forward pass alone: on the way back they are {NOT_PUT_BACK}")
        )

    @override
    def joined(self, forth: ndarray, back: ndarray) -> ndarray:
        return super().joined(back, forth)

    @override
    def halves(self, g: ndarray) -> tuple[ndarray, ndarray]:
        first, second = super().halves(g)
        return (first, second) if NOT_PUT_BACK in self.halves_back else (second, first)


class UpstreamDirectionsSwapped(_DirectionFault):
    """Each direction receives the gradient of the other direction's outputs."""

    @override
    def halves(self, g: ndarray) -> tuple[ndarray, ndarray]:
        forth, back = super().halves(g)
        return back, forth
