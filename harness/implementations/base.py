"""What an implementation is, and the decorator that makes one of a function."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from numpy import ndarray

from harness.case.fields import Case, Fields
from harness.casefile import listed, nearest
from harness.problem import Problem
from harness.recurrences import Recurrence
from harness.tensors import Structure

Returned = Mapping[str, Any]
"""What an implementation's function returns: gradients, ``loss`` and ``outputs``; each an array or a ``Partial``.

``directional`` may stand beside them: derivatives of the loss along the first of ``harness.precision.perturbations``.
So may what became of a training: ``training.loss``, ``training.lr`` and ``training.gradient_norm``, (steps,) each, and
the weights after it, ``trained.`` and the name of each in the implementation's layout."""


@dataclass(frozen=True, eq=False)
class Partial:
    """A tensor of which only some elements are known, or only some digits; returned in place of an array.

    Attributes:
        values: of the shape of the whole tensor; what stands where nothing is known does not matter.
        known: which elements are known, of the same shape, bool.
        half_unit: of the same shape, absolute: by how much each element may be off because its digits end, half a unit
            in its last one; zero where it is as exact as its dtype. In the split layout only, if it is not all zero.
    """

    values: ndarray
    known: ndarray
    half_unit: ndarray


ANY = "*"
"""Stands for any recurrence."""


class Unsupported(Exception):
    """Raised by an implementation that cannot represent a case; its text is the reason."""


@dataclass(frozen=True)
class Framework:
    """Where an implementation runs: a process of its own kind, shared by all implementations of one framework.

    Attributes:
        name: the name of the process.
        modules: what the process imports before it is ready, and what must be installed.
        install: the extra of this project that brings it.
        environment: variables that must be set before the modules are imported.
        program: what Python is to run in place of the harness's own worker of this name, as its arguments.
        limit: how many seconds one case may take.
        restarts: how often a process that ended is started again in one run.
        absent: says why this machine lacks a device that it runs on, empty if it does not; None if it needs none. Looks
            without importing anything.
        of_user: whether it runs a user's own file, so that whatever that started is found and ended with it.
    """

    name: str
    modules: tuple[str, ...]
    install: str
    environment: Mapping[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = ()
    limit: float = 600.0
    restarts: int = 3
    absent: Callable[[], str] | None = None
    of_user: bool = False

    @property
    def reason_against_machine(self) -> str:
        """Why it cannot run on this machine; empty if nothing is known against it."""
        return "" if self.absent is None else self.absent()


@dataclass(frozen=True)
class Promise:
    """The promises of an implementation about its answers, beside right numbers.

    Attributes:
        complete: every tensor, in the case's dtype.
        all_gradients: every gradient.
        float32_eps: products in float32 that are rounded to this eps; 0 for float32's own.
    """

    complete: bool = False
    all_gradients: bool = False
    float32_eps: float = 0.0


@dataclass(frozen=True)
class Implementation:
    """One way to get loss, outputs and gradients for a problem.

    Attributes:
        name: how it is named in cases, reports and on the command line.
        layout: the layout in which it receives weights and returns gradients.
        function: maps a problem, in that layout, to ``{tensor: gradient, ..., "loss": ..., "outputs": ...}``.
        framework: where it runs.
        supports: for a field of a case, the values that it can represent (of ``truncation``, the kinds); fields that
            are not named are all supported, and so is a field that says nothing of the case, as ``reset`` of an rnn.
            ``{"bidirectional": (False,)}`` is for one direction.
        complete: whether a tensor that it does not return is a mismatch, and so is another dtype than the case's.
        all_gradients: whether a gradient that it does not return is a mismatch.
        is_oracle: whether it uses no backward pass, so that it can say which of two others is right.
        initial_weights: maps a structure, a seed and a dtype to the framework's own initial weights, in ``layout``;
            None if the implementation has no initialisation to offer.
        only_with: a field of a case, without which it takes no part; empty for none.
        only_named: whether it takes part only in cases whose ``implementations`` lists it: one that differs on purpose.
        specialised: whether it takes part only in cases that it supports, since nobody would miss it in others.
        first_of_sweep: whether it takes part only in the first case of each sweep, unless it is asked for by name: one
            to which every case costs a compilation.
        own_optimiser: whether it trains with an optimiser of its own, and returns what became of it; it takes part only
            in cases with training.
        work: how many multiplications of numbers it takes for a problem, where that is far more than the reference
            takes; None where it is not.
        float32_eps: the eps of its products in float32, where they are rounded further than to that; 0 where they are
            not. Its tolerances grow with it.
        recurrence: the recurrence that it is an implementation of: a name, ``*`` for any recurrence beside networks,
            empty for networks alone.
        about: one line on what it is.
    """

    name: str
    layout: str
    function: Callable[[Problem], Returned]
    framework: Framework
    supports: Mapping[str, tuple[str | bool, ...]] = field(default_factory=dict)
    complete: bool = True
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
    recurrence: str = ""
    about: str = ""

    def __call__(self, problem: Problem) -> Returned:
        """Call the function, so that what was decorated stays usable in its own file."""
        return self.function(problem)

    def takes_part_in(self, case: Fields) -> bool:
        """Whether a case is for this implementation."""
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
        return not self.first_of_sweep or not isinstance(case, Case) or case.leads_sweep

    def asked_for(self) -> Implementation:
        """Return the implementation as one who asks for it by name wants it: in every case that it is for."""
        return replace(self, first_of_sweep=False)

    @property
    def promise(self) -> Promise:
        """The promises about its answers."""
        return Promise(self.complete, self.all_gradients, self.float32_eps)

    def tried_out(self, *, require_all: bool = False) -> Implementation:
        """Return the implementation as a user's own: any subset of tensors will do, in any float dtype.

        Args:
            require_all: whether every gradient must be returned; so it must if the implementation is ``complete``.
        """
        return replace(self, complete=False, all_gradients=require_all or self.complete or self.all_gradients)

    def is_of(self, case: Fields) -> bool:
        """Return whether it computes what a case is of: its recurrence, or a network."""
        is_network = not isinstance(case, Case) or case.recurrence is None
        return self.recurrence in (("", ANY) if is_network else (case.cell, ANY))

    def reason_against(self, case: Fields) -> str:
        """Return why the implementation cannot represent a case; empty if nothing is known against it."""
        if not self.is_of(case):
            of = f"the recurrence {self.recurrence}" if self.recurrence else "networks of rnn, lstm and gru"
            return f"{self.name} is of {of}, and the case of {case.cell}"
        if isinstance(case, Case) and case.recurrence is not None:
            return ""
        for name, supported in self.supports.items():
            value = getattr(case, name)
            value = value["kind"] if isinstance(value, dict) else value  # of a truncation, the kind
            if value is not None and value not in supported:
                return f"{name} is {value}, but {self.name} has only {listed([str(each) for each in supported])}"
        return ""


def _check(name: str, supports: Mapping[str, Any]) -> None:
    """Make sure that ``supports`` is what it should be, before a case is held against it."""
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
    """Refuse what an implementation that runs each layer once, from the first step to the last, cannot represent.

    Raises:
        Unsupported: if the problem is bidirectional, or its sequences have lengths of their own.
    """
    if problem.structure.directions == 2:
        raise Unsupported("only one direction")
    if problem.lengths is not None:
        raise Unsupported("only sequences of equal length")


NUMPY = Framework("numpy", ("numpy",), install="")
"""The process of everything that needs no framework."""


def implementation(
    name: str,
    *,
    layout: str = "split",
    framework: Framework = NUMPY,
    supports: Mapping[str, tuple[str | bool, ...]] | None = None,
    complete: bool = False,
    is_oracle: bool = False,
    initial_weights: Callable[[Structure, int, str], Mapping[str, Any]] | None = None,
    only_with: str = "",
    only_named: bool = False,
    specialised: bool = False,
    first_of_sweep: bool = False,
    own_optimiser: bool = False,
    work: Callable[[Problem], float] | None = None,
    float32_eps: float = 0.0,
    recurrence: str | Recurrence = "",
) -> Callable[[Callable[[Problem], Returned]], Implementation]:
    """Make an implementation of a function.

    Args:
        name: how it is to be named.
        layout: the layout in which weights arrive and gradients are read back: split, concatenated, torch, keras, tf1,
            flax, onnx.
        framework: the process that it runs in.
        supports: for a field of a case, such as ``activation``, the values that it can represent.
        complete: whether it promises every gradient; a tensor that it then does not return is a mismatch.
        is_oracle: whether it uses no backward pass.
        initial_weights: the framework's own initialisation.
        only_with: a field of a case, without which it takes no part.
        only_named: whether it takes part only in cases whose ``implementations`` lists it.
        specialised: whether it takes part only in cases that it supports.
        first_of_sweep: whether it takes part only in the first case of each sweep, unless it is asked for by name.
        own_optimiser: whether it trains with an optimiser of its own; it takes part only in cases with training.
        work: how many multiplications it takes for a problem, where that is far more than the reference takes.
        float32_eps: the eps of its products in float32, where that is not float32's own.
        recurrence: the recurrence that it is an implementation of, or its name, as in ``recurrence="mlstm"``.

    Raises:
        ValueError: if there is no such layout, or ``supports`` names no field of a case, or gives no list of values.
    """
    from harness.layout import layouts

    _check(name, supports or {})

    if layout not in layouts():
        hint = nearest(layout, layouts())
        raise ValueError(f"there is no layout {layout!r}; {hint or f'there are {listed(layouts())}'}")

    def make(function: Callable[[Problem], Returned]) -> Implementation:
        about = (function.__doc__ or "").strip().partition("\n")[0]
        return Implementation(
            name,
            layout,
            function,
            framework,
            supports or {},
            complete=complete,
            is_oracle=is_oracle,
            initial_weights=initial_weights,
            only_with=only_with,
            only_named=only_named,
            specialised=specialised,
            first_of_sweep=first_of_sweep,
            own_optimiser=own_optimiser,
            work=work,
            float32_eps=float32_eps,
            recurrence=recurrence if isinstance(recurrence, str) else recurrence.name,
            about=about,
        )

    return make
