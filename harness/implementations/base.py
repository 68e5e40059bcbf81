"""The class of implementations, and the decorator that makes an implementation of a function."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict, Unpack

import numpy as np
from numpy import ndarray

from harness.case.fields import Fields, ValidCase
from harness.casefile import listed, nearest
from harness.precision.formats import Rounds
from harness.problem import Problem
from harness.recurrences import Recurrence
from harness.tensors import Structure

Returned = Mapping[str, Any]
"""The answer of an implementation's function: gradients, ``loss`` and ``outputs``; each an array or a ``Partial``.

It may also have ``directional``, derivatives of the loss along the first of ``harness.precision.perturbations``. It may
have the results of training: ``training.loss``, ``training.lr`` and ``training.gradient_norm``, (steps,) each, and the
weights after the last step, each under ``trained.`` and its name in the implementation's layout."""


@dataclass(frozen=True, eq=False)
class Partial:
    """A tensor with only some known elements, or only some known digits, which is returned in place of an array.

    Attributes:
        values: The values, of the shape of the whole tensor; unknown elements may have any value.
        known: The elements that are known, of the same shape, bool.
        half_unit: Half a unit in the last digit of each element, of the same shape, absolute; zero for elements as
            exact as their dtype, as all are if it is left out. Only the split layout may have nonzero ones.
    """

    values: ndarray
    known: ndarray
    half_unit: ndarray = field(default_factory=lambda: np.zeros(()))

    def __post_init__(self) -> None:
        if not np.shape(self.half_unit):
            whole = np.broadcast_to(np.asarray(self.half_unit), np.shape(self.values))
            object.__setattr__(self, "half_unit", whole)


ANY = "*"
"""Stands for any recurrence."""


class Unsupported(Exception):
    """An implementation cannot represent a case; the text is the reason."""


@dataclass(frozen=True)
class Framework:
    """A framework: the kind of process that all of its implementations share.

    Attributes:
        name: The name of the process.
        modules: The modules that the process imports before it is ready, and that must be installed.
        install: The extra of this project that installs them.
        environment: Variables that must be set before the modules are imported.
        program: Python's arguments for another program than the harness's own worker; None for that worker.
        limit: Maximum seconds of one case.
        restarts: Maximum number of times that an ended process is started again in one run.
        absent: A function that returns the reason why the machine lacks a required device, empty if it has it, without
            importing anything; None if no device is required.
        first: The first message to its process; empty for none.
        of_user: True if it runs a user's own file, so that all processes that the file starts are ended with it.
    """

    name: str
    modules: tuple[str, ...]
    install: str
    environment: Mapping[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = ()
    limit: float = 600.0
    restarts: int = 3
    absent: Callable[[], str] | None = None
    first: Mapping[str, str | float] = field(default_factory=dict)
    of_user: bool = False

    @property
    def reason_against_machine(self) -> str:
        """Return the reason why it cannot run on this machine; empty if none is known."""
        return "" if self.absent is None else self.absent()


NUMPY = Framework("numpy", ("numpy",), install="")
"""The process of all implementations that need no framework."""


@dataclass(frozen=True)
class Promise:
    """The promises of an implementation about its answers, besides right numbers.

    Attributes:
        complete: True if it returns every tensor, in the case's dtype.
        all_gradients: True if it returns every gradient.
        float32_eps: The eps of its products in float32; 0 for float32's own.
        eps: The eps of the format that it rounds to, in every dtype; 0 for the dtype's own.
    """

    complete: bool = False
    all_gradients: bool = False
    float32_eps: float = 0.0
    eps: float = 0.0

    def eps_in(self, dtype: str) -> float:
        """Return the eps of its arithmetic in a dtype, if it is larger than the dtype's own; otherwise 0."""
        return max(self.eps, self.float32_eps if dtype == "float32" else 0.0)


@dataclass(frozen=True)
class Implementation:
    """A way to compute loss, outputs and gradients of a problem.

    Attributes:
        name: The name in cases, reports and on the command line.
        layout: The layout in which it receives weights and returns gradients.
        function: A function from a problem in that layout to ``{tensor: gradient, ..., "loss": ..., "outputs": ...}``.
        framework: The framework, whose process it runs in.
        supports: The values that it can represent, by field of a case; ``{"bidirectional": (False,)}`` means one
            direction. For ``truncation``, the values are its kinds. All values of other fields are supported, and so is
            a field without meaning for the case, such as ``reset`` of an rnn.
        complete: True if a missing tensor is a mismatch, and so is another dtype than the case's.
        all_gradients: True if a missing gradient is a mismatch.
        is_oracle: True if it uses no backward pass, so that it can decide which of two others is right.
        initial_weights: A function from a structure, a seed and a dtype to the framework's own initial weights, in
            ``layout``; None if it has none.
        only_with: A field of a case that it requires to take part; empty for none.
        only_named: True if it takes part only in cases whose ``implementations`` lists it: one that differs on purpose.
        specialised: True if it takes part only in cases that it supports, without a remark in others.
        first_of_sweep: True if it takes part only in the first case of each sweep, unless it is requested by name: one
            that must compile every case.
        own_optimiser: True if it trains with an optimiser of its own and returns the results; it takes part only in
            cases with training.
        work: A function that returns the number of scalar multiplications for a problem, if that is far more than the
            reference's; otherwise None.
        float32_eps: The eps of its products in float32, if it is larger than float32's own; otherwise 0. Tolerances
            grow with it.
        rounds: The format of low precision that it rounds to, or formats by operation; empty for none.
        recurrence: The recurrence that it implements: a name, ``*`` for any recurrence, empty for networks alone.
        about: A description in one line.
    """

    name: str
    layout: str
    function: Callable[[Problem], Returned]
    framework: Framework = NUMPY
    supports: Mapping[str, tuple[str | bool, ...]] = field(default_factory=dict)
    complete: bool = False
    all_gradients: bool = False
    is_oracle: bool = False
    initial_weights: Callable[[Structure, int, str], Mapping[str, Any]] | None = None
    only_with: str = ""
    only_named: bool = False
    specialised: bool = False
    first_of_sweep: bool = False
    own_optimiser: bool = False
    work: Callable[[Problem], float] | None = None
    float32_eps: float = 0.0
    rounds: str | Mapping[str, str] = ""
    recurrence: str = ""
    about: str = ""

    def __call__(self, problem: Problem) -> Returned:
        """Call the function, so that the decorated function stays usable in its own file."""
        return self.function(problem)

    def takes_part_in(self, case: Fields) -> bool:
        """Return whether this implementation takes part in a case."""
        if not self.is_of(case):
            return case.implementations is not None and self.name in case.implementations  # to say that it cannot
        if self.only_with:
            there = getattr(case, self.only_with, None) is not None
            if not there or self.only_with != "recurrence":  # what a case brings itself takes part, listed or not
                return there
        if (self.own_optimiser and case.training == "none") or (self.specialised and self.reason_against(case)):
            return False
        if case.implementations is not None:
            return self.name in case.implementations
        if self.only_named or self.framework.reason_against_machine:
            return False
        return not self.first_of_sweep or not isinstance(case, ValidCase) or case.leads_sweep

    def asked_for(self) -> Implementation:
        """Return the implementation for a request by name: it takes part in every case of a sweep."""
        return replace(self, first_of_sweep=False)

    @property
    def promise(self) -> Promise:
        """The promises about its answers."""
        eps = 2 * Rounds.of(self.rounds).coarsest.unit if self.rounds else 0.0
        return Promise(self.complete, self.all_gradients, self.float32_eps, eps)

    def tried_out(self, *, require_all: bool = False) -> Implementation:
        """Return the implementation as a user's own: it may return any subset of tensors, in any float dtype.

        Args:
            require_all: True if every gradient must be returned, as for an implementation that is ``complete``.
        """
        return replace(self, complete=False, all_gradients=require_all or self.complete or self.all_gradients)

    def is_of(self, case: Fields) -> bool:
        """Return whether it computes what a case is of: its recurrence, or a network."""
        is_network = not isinstance(case, ValidCase) or case.recurrence is None
        return self.recurrence in (("", ANY) if is_network else (case.cell, ANY))

    def reason_against(self, case: Fields) -> str:
        """Return the reason why the implementation cannot represent a case; empty if none is known."""
        if not self.is_of(case):
            of = f"the recurrence {self.recurrence}" if self.recurrence else "networks of rnn, lstm and gru"
            return f"{self.name} is of {of}, and the case of {case.cell}"
        if isinstance(case, ValidCase) and not case.is_network:
            return ""
        for name, supported in self.supports.items():
            value = getattr(case, name)
            value = value["kind"] if isinstance(value, dict) else value  # a truncation counts by its kind
            if value is not None and value not in supported:
                return f"{name} is {value}, but {self.name} has only {listed([str(each) for each in supported])}"
        return ""


def _check(name: str, supports: Mapping[str, Any]) -> None:
    """Check that ``supports`` is valid, before a case is compared with it."""
    fields = [each.name for each in dataclasses.fields(Fields)]
    for field_name, values in supports.items():
        if field_name not in fields:
            hint = nearest(field_name, fields) or f"there are {listed(fields)}"
            raise ValueError(f"{name} has supports for {field_name!r}, which is no field of a case; {hint}")
        if not isinstance(values, (tuple, list)):
            raise ValueError(
                f"{name} has supports={{{field_name!r}: {values!r}}}, but should have a tuple of values: "
                f"supports={{{field_name!r}: ({values!r},)}}"
            )
        if odd := [each for each in values if not isinstance(each, str | bool | int | None)]:
            raise ValueError(
                f"{name} has supports={{{field_name!r}: …}} with {odd[0]!r}, a {type(odd[0]).__name__}, "
                "but its values should be texts, numbers, True, False or None"
            )


def refuse_directions_and_lengths(problem: Problem) -> None:
    """Refuse problems for implementations that run each layer once, from the first step to the last.

    Raises:
        Unsupported: If the problem is bidirectional, or its sequences have lengths of their own.
    """
    if problem.structure.directions == 2:
        raise Unsupported("only one direction")
    if problem.lengths is not None:
        raise Unsupported("only sequences of equal length")


class Traits(TypedDict, total=False):
    """The attributes of an ``Implementation`` that only some have, which documents them."""

    framework: Framework
    complete: bool
    is_oracle: bool
    initial_weights: Callable[[Structure, int, str], Mapping[str, Any]]
    only_with: str
    only_named: bool
    specialised: bool
    first_of_sweep: bool
    own_optimiser: bool
    work: Callable[[Problem], float]
    float32_eps: float
    rounds: str | Mapping[str, str]


def implementation(
    name: str,
    *,
    layout: str = "split",
    supports: Mapping[str, tuple[str | bool, ...]] | None = None,
    recurrence: str | Recurrence = "",
    **traits: Unpack[Traits],
) -> Callable[[Callable[[Problem], Returned]], Implementation]:
    """Make an implementation of a function.

    Args:
        name: The name in cases, reports and on the command line.
        layout: The layout in which weights arrive and gradients are read back: split, concatenated, torch, keras, tf1,
            flax, onnx.
        supports: The values that it can represent, by field of a case, such as ``activation``.
        recurrence: The recurrence that it implements, or its name, as in ``recurrence="mlstm"``.
        **traits: Other attributes of ``Implementation``, such as ``complete=True``: every gradient is promised, and a
            missing one is a mismatch. ``rounds="bfloat16"`` declares the format that it rounds to.

    Raises:
        ValueError: If the name is no text, the layout is unknown, ``supports`` has an unknown field or no tuple of
            values, or ``rounds`` has an unknown format or operation.
        TypeError: If there is no such trait.
    """
    from harness.layout import layouts

    bare: object = name  # a function if a user wrote the decorator without parentheses
    if not isinstance(bare, str):
        raise ValueError(f"the name is a {type(bare).__name__}, but should be a text: @harness.implementation('mine')")
    _check(name, supports or {})

    if layout != "split" and layout not in layouts():
        hint = nearest(layout, layouts())
        raise ValueError(f"there is no layout {layout!r}; {hint or f'there are {listed(layouts())}'}")
    if unknown := [each for each in traits if each not in Traits.__annotations__]:
        there = sorted(["layout", "supports", "recurrence", *Traits.__annotations__])
        hint = nearest(unknown[0], there) or f"there are {listed(there)}"
        raise TypeError(f"harness.implementation has no argument {unknown[0]!r}; {hint}")

    if rounds := traits.get("rounds"):
        Rounds.of(rounds)

    given: object = recurrence  # whatever a user wrote
    if not isinstance(given, str | Recurrence):
        kind = type(given).__name__
        raise ValueError(f"recurrence is a {kind}, but should be a function under @harness.recurrence(…), or a name")
    if recurrence not in ("", ANY) and layout != "split":
        raise ValueError(f"layout is {layout!r}, but a recurrence has no layout but its own; leave `layout` out")

    def make(function: Callable[[Problem], Returned]) -> Implementation:
        about = (function.__doc__ or "").strip().partition("\n")[0]
        of = recurrence if isinstance(recurrence, str) else recurrence.name
        return Implementation(name, layout, function, supports=supports or {}, recurrence=of, about=about, **traits)

    return make
