"""What a fault is: one part of backpropagation through time put in another's place.

A fault is a class. Its name is the class's, its docstring says in one sentence what the numbers then are, with the
fault's parameters in braces. It overrides a method of ``Layer`` or ``Network``, and calls ``super()`` where it can, so
that several faults combine into one class.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from harness.diagnosis.bptt import Layer, Network
from harness.problem import Problem


class _Ellipses(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "…"


class Fault:
    """A way to be wrong.

    Attributes:
        alters_forward: whether the forward pass is another one; the backward pass then is right for that forward pass.
        unlikely: how much rarer than others it is: 0 for what everybody gets wrong once.
        hidden_by: the blind spots of a case that can hide it, as ``harness.diagnosis.sight`` names them.
        declare: how a case says that this is what is meant; empty if it is never meant.
    """

    alters_forward: ClassVar[bool] = False
    unlikely: ClassVar[int] = 1
    hidden_by: ClassVar[tuple[str, ...]] = ()
    declare: ClassVar[str] = ""

    @classmethod
    def title(cls) -> str:
        """The fault's name: its class's, in lower case with hyphens."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", cls.__name__).lower()

    @classmethod
    def summary(cls) -> str:
        """The docstring's first sentence or two, parameters in braces."""
        return " ".join((cls.__doc__ or "").split())

    @classmethod
    def described(cls) -> str:
        """What the numbers are with it, an ellipsis for each parameter."""
        return cls.summary().format_map(_Ellipses())

    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        """Return why the fault cannot be committed on this problem, such as "there is no readout"; empty if it can."""
        del problem
        return ""

    @classmethod
    def variants(cls, problem: Problem) -> Iterator[Mapping[str, Any]]:
        """Yield the values of its parameters that are worth trying on a problem."""
        del problem
        yield {}


class LayerFault(Fault, Layer):
    """A fault inside one recurrent layer; it may be in all of them or in one."""


class NetworkFault(Fault, Network):
    """A fault around the layers: in what they are given, in the readout, in the loss."""


@dataclass(frozen=True)
class Suspect:
    """A fault with its parameters, and where it is.

    Attributes:
        fault: the fault's class, with the parameters as class attributes.
        parameters: their values.
        layer: the one layer that has it; None if all layers do, or if it is not of a layer.
    """

    fault: type[Fault]
    parameters: tuple[tuple[str, Any], ...] = ()
    layer: int | None = None

    @property
    def name(self) -> str:
        """The fault's name."""
        return self.fault.title()

    @property
    def explanation(self) -> str:
        """What the numbers are, in words."""
        text = self.fault.summary().format_map(dict(self.parameters))
        return text if self.layer is None else f"In layer {self.layer} alone: {text}"

    @property
    def declaration(self) -> str:
        """How a case says that this is what is meant; empty if it is never meant, or cannot be said of one layer."""
        return "" if self.layer is not None else self.fault.declare.format_map(dict(self.parameters))


def suspects_of(fault: type[Fault], problem: Problem) -> Iterator[Suspect]:
    """Yield a fault with all its parameters: in all layers, then in each layer alone."""
    if fault.obstacle(problem):
        return
    layers = problem.case.layers
    only: list[int | None] = [None]
    if issubclass(fault, LayerFault) and layers > 1:
        only += reversed(range(layers))
    for parameters in fault.variants(problem):
        variant = type(fault.__name__, (fault,), {"__doc__": fault.__doc__, **parameters}) if parameters else fault
        for layer in only:
            yield Suspect(variant, tuple(parameters.items()), layer)


def kinds_of(suspects: tuple[Suspect, ...], layers: int) -> tuple[type[Network], tuple[type[Layer], ...], bool]:
    """Return the classes of a network that has all these faults, and whether its forward pass is another one.

    Args:
        suspects: the faults; of two that override the same method without ``super()`` the first counts.
        layers: how many layers there are.
    """
    of_network = tuple(s.fault for s in suspects if issubclass(s.fault, NetworkFault))
    of_layers = [
        tuple(s.fault for s in suspects if issubclass(s.fault, LayerFault) and s.layer in (None, n))
        for n in range(layers)
    ]
    kinds: tuple[Any, ...] = tuple(_with_faults(faults, Layer) for faults in of_layers)
    network: Any = _with_faults(of_network, Network)
    return network, kinds, any(s.fault.alters_forward for s in suspects)


def _with_faults(faults: tuple[type, ...], right: type) -> type:
    """Return the class that inherits from all these faults."""
    if len(faults) < 2:
        return faults[0] if faults else right
    return type("Faulty", (*faults, right), {})
