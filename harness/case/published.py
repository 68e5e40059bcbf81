"""Published gradients: checks against the case, and the number of their printed digits."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from harness.case.arrays import Problem, nested
from harness.case.fields import Fields
from harness.casefile import Path, nearest

_NUMBER = re.compile(r"[-+]?[0-9]*(?:\.([0-9]*))?(?:[eE]([-+]?[0-9]+))?\Z")


def half_unit(written: str) -> float:
    """Return half a unit in the last digit of a number as it is written: 0.005 for ``0.50``, 0.5 for ``12``."""
    found = _NUMBER.match(written)
    if found is None:  # 0x1F, 0o17: whole numbers in another notation
        return 0.5
    decimals, exponent = len(found[1] or ""), int(found[2] or 0)
    return float(f"5e{exponent - decimals - 1}")


def half_units(published: Mapping[str, Any], text: Callable[[Path], str | None] = lambda _: None) -> list[Any]:
    """Return, for each published gradient, half a unit in the last digit of each value, nested as the values are.

    Args:
        published: The field of a case.
        text: A function that returns the number at a path of the case as it was written. By default, Python's shortest
            form is used.
    """

    def of(values: Any, path: Path) -> Any:
        if isinstance(values, list):
            return [of(each, (*path, i)) for i, each in enumerate(values)]
        return half_unit(text(path) or repr(values))

    return [
        of(gradient["values"], ("published", "gradients", n, "values"))
        for n, gradient in enumerate(published["gradients"])
    ]


def problems(case: Fields) -> Iterator[Problem]:
    """Find the mistakes in the published gradients of a case: names, indices, shapes, elements given twice."""
    if case.published is None:
        return
    shapes = case.structure.gradients
    seen: dict[tuple[str, tuple[int, ...]], int] = {}
    for n, gradient in enumerate(case.published["gradients"]):
        path, tensor, prefix = ("published", "gradients", n), gradient["tensor"], gradient.get("at", [])
        if tensor not in shapes:
            yield (*path, "tensor"), f"no tensor is named {tensor!r} here", nearest(tensor, shapes)
            continue
        below = shapes[tensor][len(prefix) :]
        wrong = list(_prefix(prefix, tensor, shapes[tensor]))
        wrong = wrong or list(nested(("values",), gradient["values"], tensor, below))
        yield from (((*path, *where), problem, hint) for where, problem, hint in wrong)
        for inner in () if wrong else itertools.product(*map(range, below)):
            first = seen.setdefault((tensor, (*prefix, *inner)), n)
            if first != n:
                at = ", ".join(map(str, (*prefix, *inner)))
                problem = f"{tensor}[{at}] was already given, in published.gradients[{first}]"
                yield (*path, "values", *inner), problem, ""
                break


def _prefix(prefix: list[int], tensor: str, shape: tuple[int, ...]) -> Iterator[Problem]:
    if len(prefix) > len(shape):
        yield ("at",), f"{len(prefix)} indices, but {tensor} has {len(shape)} axes here: {shape}", ""
        return
    for axis, (index, size) in enumerate(zip(prefix, shape, strict=False)):
        if not 0 <= index < size:
            yield ("at", axis), f"{index} should be from 0 to {size - 1}: {tensor} has shape {shape} here", ""
