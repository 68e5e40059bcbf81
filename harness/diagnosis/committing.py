"""Faults committed on a problem: the possible ones, their networks and the resulting tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from numpy import ndarray

from harness.diagnosis import bptt
from harness.diagnosis.bptt import Network, anew
from harness.diagnosis.cells import CellLayer
from harness.diagnosis.faults import Fault, LayerFault, NetworkFault, Suspect, base
from harness.diagnosis.wrapped import WrappedNetwork, is_wrapped
from harness.problem import Problem

AROUND_LAYERS = frozenset(
    ("__init__", "inputs", "read_out", "loss_of", "upstream", "accumulated", "through_readout", "to_below", "backward")
)
"""The methods of a network that need no layer in parts."""

OF_LAYERS = ("below-through-slope-twice",)
"""Faults that override one of them but look into a layer."""


def right(problem: Problem) -> Network:
    """The network of a problem without a fault, after its forward pass."""
    if not is_wrapped(problem):
        return bptt.right(problem)
    network = WrappedNetwork(problem)
    network.forward()
    return network


def with_faults(true: Network, suspects: tuple[Suspect, ...]) -> Mapping[str, ndarray]:
    """Return all tensors of the problem of ``true``, a network after both passes, with these faults."""
    return network_with(true, suspects).tensors()


def network_with(true: Network, suspects: tuple[Suspect, ...]) -> Network:
    """Return the network of ``true``, a network after both passes, with these faults, after its forward pass."""
    network, layers, forward = kinds_of(suspects, true.problem)
    return anew(true, network, layers, forward=forward)


def network_with_more(base: Network, suspects: tuple[Suspect, ...], more: tuple[Suspect, ...]) -> Network:
    """Return the network of ``base``, which has the first faults, with more of them, after its forward pass.

    Everything that the other faults leave unchanged is taken from ``base``, a network after both passes.
    """
    network, layers, _ = kinds_of((*suspects, *more), base.problem)
    return anew(base, network, layers, forward=any(each.fault.alters_forward for each in more))


def with_forward_pass(true: Network, suspect: Suspect) -> Mapping[str, ndarray]:
    """Return all tensors of the problem of ``true`` with the forward pass of a fault and the backward pass of none."""
    other, own = network_with(true, (suspect,)), right(true.problem)
    for layer, its in zip(own.layers, other.layers, strict=True):
        layer.cache = layer.taken(its.cache)
    if isinstance(own, WrappedNetwork) and isinstance(other, WrappedNetwork):
        own.forward_passes = other.forward_passes
    own.top, own.outputs = other.top, other.outputs
    return own.tensors()


def kinds_of(
    suspects: tuple[Suspect, ...], problem: Problem
) -> tuple[type[Network], tuple[type[CellLayer], ...], bool]:
    """Return the classes of the network and the layers that have all these faults, and whether they alter the forward
    pass.
    """
    network, layers, forward = base.kinds_of(suspects, problem.structure)
    if is_wrapped(problem) and not issubclass(network, WrappedNetwork):
        network = WrappedNetwork if network is Network else type("Faulty", (network, WrappedNetwork), {})
    return network, layers, forward


def suspects_of(fault: type[Fault], problem: Problem) -> Iterator[Suspect]:
    """Yield a fault with all its parameters that are worth trying on a problem; nothing if it cannot be committed."""
    if not obstacle(fault, problem):
        yield from base.suspects_of(fault, problem)


def obstacle(fault: type[Fault], problem: Problem) -> str:
    """Return why a fault cannot be committed on a problem; empty if it can."""
    if is_wrapped(problem) and not issubclass(fault, WrappedNetwork):
        around = issubclass(fault, NetworkFault) and overridden(fault) <= AROUND_LAYERS
        if not around or fault.title() in OF_LAYERS:
            what = "both directions" if problem.structure.directions == 2 else "sequences of unequal length"
            return f"it looks into a layer's recursion, and those over {what} are not taken apart"
    return base.obstacle_to(fault, problem)


def overridden(fault: type[Fault]) -> set[str]:
    """The methods of a layer or of the network that a fault overrides."""
    common = (Fault, LayerFault, NetworkFault)
    own = [kind for kind in fault.__mro__ if issubclass(kind, Fault) and kind not in common]
    return {name for kind in own for name, each in vars(kind).items() if callable(each)}
