"""``published``: printed gradients in the case file, compared to the digits that they have."""

from __future__ import annotations

import numpy as np

from harness.case import half_units
from harness.implementations.base import Partial, Returned, Unsupported, implementation
from harness.problem import Problem


@implementation("published", layout="split", only_with="published")
def published(problem: Problem) -> Returned:
    """Gradients printed in the case file, in whole or in part."""
    case = problem.case
    if case.published is None:
        raise Unsupported("no gradients are published in this case")
    units = half_units(case.published) if case.half_units is None else case.half_units
    found: dict[str, Partial] = {}
    for gradient, half_unit in zip(case.published["gradients"], units, strict=True):
        shape = problem.structure.gradients[gradient["tensor"]]
        tensor = found.setdefault(
            gradient["tensor"], Partial(np.full(shape, np.nan, case.dtype), np.zeros(shape, np.bool_), np.zeros(shape))
        )
        at = tuple(gradient.get("at", ()))
        tensor.values[at] = gradient["values"]
        tensor.known[at] = True
        tensor.half_unit[at] = half_unit
    return found
