"""The base of all faults: each replaces one part of backpropagation through time by another.

A fault is a class. The class's name is its name, and its docstring explains the wrong numbers in one sentence, with the
fault's parameters in braces. It overrides a method of ``CellLayer`` or ``Network``, and calls ``super()`` if it can, so
that several faults combine into one class.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from harness.diagnosis.bptt import Network
from harness.diagnosis.cells import (
    CellLayer,
    GruAfterLayer,
    GruBeforeLayer,
    GruLayer,
    LstmLayer,
    RnnLayer,
    layer_kind,
)
from harness.problem import Problem
from harness.tensors import GATES, Structure


class _Ellipses(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "…"


class Fault:
    """A way to be wrong.

    Attributes:
        alters_forward: whether the forward pass is another one; the backward pass then is right for that forward pass.
        unlikely: how much rarer than others it is: 0 for the commonest faults.
        hidden_by: the blind spots of a case that can hide it, as ``harness.diagnosis.sight`` names them.
        declare: the words by which a case declares it as intended; empty if it is never intended.
        cells: the cells that can have it.
        replaces: the term that it replaces; two faults that replace the same term contradict each other.
        needs: the needs of a problem on which it can be committed, besides those of its bases.
        without_loss: the explanation where no loss was returned; None for the docstring, empty if another fault
            explains the same gradients, so that this one is not named.
    """

    alters_forward: ClassVar[bool] = False
    unlikely: ClassVar[int] = 1
    hidden_by: ClassVar[tuple[str, ...]] = ()
    declare: ClassVar[str] = ""
    cells: ClassVar[tuple[str, ...]] = tuple(GATES)
    replaces: ClassVar[str] = ""
    needs: ClassVar[tuple[Callable[[Problem], str], ...]] = ()
    without_loss: ClassVar[str | None] = None

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
        """Return the explanation with an ellipsis for each parameter, without optional clauses."""
        return re.sub(r"(?<=\w)…", "", cls.summary().format_map(_Ellipses()))

    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        """Return another reason why the fault cannot be committed on this problem than its needs; empty if it can."""
        del problem
        return ""

    @classmethod
    def variants(cls, problem: Problem) -> Iterator[Mapping[str, Any]]:
        """Yield the values of its parameters that are worth trying on a problem."""
        del problem
        yield {}


class LayerFault(Fault, CellLayer):
    """A fault inside one recurrent layer; it may be in all of them or in one."""


class RnnFault(LayerFault, RnnLayer):
    """A fault that only the layer of a vanilla rnn can have."""

    cells = ("rnn",)


class GatedFault(LayerFault):
    """A fault of gates."""

    cells = ("lstm", "gru")


class LstmFault(LayerFault, LstmLayer):
    """A fault that only the layer of an lstm can have."""

    cells = ("lstm",)


class GruFault(LayerFault, GruLayer):
    """A fault that only the layer of a gru can have."""

    cells = ("gru",)


class GruAfterFault(GruFault, GruAfterLayer):
    """A fault that only a gru with its reset gate after the product can have."""

    needs = (lambda problem: "" if problem.structure.reset == "after" else "the reset gate is before the product",)


class GruBeforeFault(GruFault, GruBeforeLayer):
    """A fault that only a gru with its reset gate before the product can have."""

    needs = (lambda problem: "" if problem.structure.reset == "before" else "the reset gate is after the product",)


class NetworkFault(Fault, Network):
    """A fault around the layers: in their inputs, in the readout, in the loss."""


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
        """The explanation, in words."""
        return self._said(self.fault.summary())

    @property
    def explanation_without_loss(self) -> str:
        """The explanation where no loss was returned; empty if the fault is not named there."""
        without = self.fault.without_loss
        return self.explanation if without is None else without and self._said(without)

    def _said(self, sentence: str) -> str:
        text = sentence.format_map(dict(self.parameters))
        return text if self.layer is None else f"In layer {self.layer} alone: {text}"

    @property
    def declaration(self) -> str:
        """The words by which a case declares it as intended; empty if it is never intended, or in one layer alone."""
        return "" if self.layer is not None else self.fault.declare.format_map(dict(self.parameters))


_VARIANTS: dict[tuple[type[Fault], tuple[tuple[str, Any], ...]], type[Fault]] = {}


def _variant(fault: type[Fault], parameters: tuple[tuple[str, Any], ...]) -> type[Fault]:
    """Return the class of a fault with its parameters, made once."""
    if not parameters:
        return fault
    made = _VARIANTS.get((fault, parameters))
    if made is None:
        made = type(fault.__name__, (fault,), {"__doc__": fault.__doc__, **dict(parameters)})
        _VARIANTS[fault, parameters] = made
    return made


def contradict(a: type[Fault], b: type[Fault]) -> bool:
    """Return whether two faults replace the same term by different things, so that no code can have both."""
    return a.title() == b.title() or bool(a.replaces and a.replaces == b.replaces)


def obstacle_to(fault: type[Fault], problem: Problem) -> str:
    """Return why a fault cannot be committed on a problem; empty if it can."""
    if problem.structure.cell not in fault.cells:
        return f"the cell is {problem.structure.cell}, and it is a fault of {' and '.join(fault.cells)}"
    needs = (need for kind in reversed(fault.__mro__) for need in vars(kind).get("needs", ()))
    return next(filter(None, (need(problem) for need in needs)), "") or fault.obstacle(problem)


def suspects_of(fault: type[Fault], problem: Problem) -> Iterator[Suspect]:
    """Yield a fault with all its parameters: in all layers, then in each layer alone."""
    if obstacle_to(fault, problem):
        return
    layers = problem.case.layers
    only: list[int | None] = [None]
    if issubclass(fault, LayerFault) and layers > 1:
        only += reversed(range(layers))
    for parameters in fault.variants(problem):
        variant = _variant(fault, tuple(parameters.items()))
        for layer in only:
            yield Suspect(variant, tuple(parameters.items()), layer)


def kinds_of(
    suspects: tuple[Suspect, ...], structure: Structure
) -> tuple[type[Network], tuple[type[CellLayer], ...], bool]:
    """Return the classes of a network that has all these faults, and whether its forward pass is another one.

    Args:
        suspects: the faults; of two that override the same method without ``super()`` the first counts.
        structure: how many layers there are, and of which cell.
    """
    of_network = tuple(s.fault for s in suspects if issubclass(s.fault, NetworkFault))
    of_layers = [
        tuple(s.fault for s in suspects if issubclass(s.fault, LayerFault) and s.layer in (None, n))
        for n in range(structure.layers)
    ]
    right: Any = layer_kind(structure)
    kinds: tuple[Any, ...] = tuple(_with_faults(faults, right) for faults in of_layers)
    network: Any = _with_faults(of_network, Network)
    return network, kinds, any(s.fault.alters_forward for s in suspects)


@lru_cache(maxsize=2048)  # a search makes the same classes thousands of times
def _with_faults(faults: tuple[type, ...], right: type) -> type:
    """Return the class that inherits from all these faults and from the right class."""
    return type("Faulty", (*faults, right), {}) if faults else right
