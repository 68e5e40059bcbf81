"""Checks of a tolerance, which may come from a case file, from Python or from the command line."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

from harness.casefile import listed, nearest

if TYPE_CHECKING:
    from harness.case.arrays import Problem

BOUNDS = ("rtol", "atol")
EXAMPLE = "such as {rtol: 1e-7, atol: 1e-9}, or those by tensor with default for the rest"


def mistakes(tolerance: Any, tensors: Collection[str]) -> Iterator[Problem]:
    """Yield path, problem and hint of each mistake in a tolerance.

    Args:
        tolerance: ``rtol`` and ``atol``, or those by tensor, with ``default`` for the rest.
        tensors: The names of the tensors of the case.
    """
    if not isinstance(tolerance, Mapping):
        yield (), f"{tolerance!r} should be a mapping", EXAMPLE
    elif not tolerance or any(name in tolerance for name in BOUNDS):
        yield from _of_bound(tolerance, ())
    else:
        names = [*tensors, "default"]
        for name, bound in tolerance.items():
            if name not in names:
                yield (name,), "no tensor has this name here", nearest(name, names) or f"there are {listed(names)}"
            elif not isinstance(bound, Mapping):
                yield (name,), f"{bound!r} should be a mapping of rtol, atol or both", ""
            else:
                yield from _of_bound(bound, (name,))


def _of_bound(bound: Mapping[Any, Any], path: tuple[Any, ...]) -> Iterator[Problem]:
    if not bound:
        yield path, "an empty tolerance says nothing", "give rtol, atol or both"
    for name, value in bound.items():
        if name not in BOUNDS:
            yield (*path, name), "unknown key", nearest(name, BOUNDS) or f"known here: {', '.join(BOUNDS)}"
        elif problem := of_number(value):
            yield (*path, name), problem, ""


def of_number(value: Any) -> str:
    """Return the problem of ``rtol`` or ``atol``; empty if it is right."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return f"{value!r} should be a number"
    if not math.isfinite(value) or value < 0:
        return f"{value} should be a finite number, 0 or more"
    return ""
