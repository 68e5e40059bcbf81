"""Faults of bidirectional layers: in the order of steps of the backward direction, and in what is whose half."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.faults.base import NetworkFault
from harness.diagnosis.wrapped import WrappedNetwork
from harness.problem import Problem


class _DirectionFault(NetworkFault, WrappedNetwork):
    """A fault that only a bidirectional layer can have."""

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "" if problem.structure.directions == 2 else "there is only one direction"


class _OrderFault(_DirectionFault):
    """A fault that shows only where steps have an order."""

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        one_step = "there is only one step" if problem.case.sizes.time == 1 else ""
        return super().obstacle(problem) or one_step


class BackwardOutputsNotRealigned(_OrderFault):
    """The outputs of the backward direction stay in its own order, the last step first, as Keras' go_backwards
    returns them.
    """

    alters_forward = True
    unlikely = 0

    @override
    def realigned(self, outputs: ndarray) -> ndarray:
        return outputs

    @override
    def to_backward(self, g: ndarray) -> ndarray:
        return g


class BackwardDirectionRunsForward(_OrderFault):
    """The backward direction runs forward in time, too: the order of its steps is never reversed."""

    alters_forward = True

    @override
    def turned_round(self, tensor: ndarray) -> ndarray:
        return tensor


class BackwardGradientInForwardOrder(_OrderFault):
    """The gradient of the backward direction's outputs reaches it in forward order, though it ran from the end."""

    unlikely = 0

    @override
    def to_backward(self, g: ndarray) -> ndarray:
        return g


class BackwardInputsGradientNotRealigned(_OrderFault):
    """The gradient of the inputs that comes from the backward direction is added in that direction's own order."""

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
        yield from ({"one_direction": each} for each in ("forward", "backward"))

    @override
    def of_inputs(self, d_forth: ndarray, d_back: ndarray) -> ndarray:
        return d_forth if self.one_direction == "forward" else d_back


class DirectionsSwapped(_DirectionFault):
    """The states of the backward direction stand first, those of the forward direction behind them."""

    alters_forward = True

    @override
    def joined(self, forth: ndarray, back: ndarray) -> ndarray:
        return super().joined(back, forth)

    @override
    def halves(self, g: ndarray) -> tuple[ndarray, ndarray]:
        back, forth = super().halves(g)
        return forth, back


class UpstreamDirectionsSwapped(_DirectionFault):
    """Each direction is carried back the gradient of the other one's outputs."""

    @override
    def halves(self, g: ndarray) -> tuple[ndarray, ndarray]:
        forth, back = super().halves(g)
        return back, forth
