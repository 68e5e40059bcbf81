"""Consequences of the floor: tensors where rounding alone explains more than a tolerance allows, and where it does not.

A tensor is ill-conditioned where the baseline itself is off by more than its tolerance, by no more than rounding
explains. That alone is no mismatch. A default tolerance then follows the rounding error of the reference; one that a
case gives is applied as given. A baseline that is off by more than rounding explains is wrong, and excuses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from harness.comparison import Comparison
from harness.precision import tolerance as tolerances
from harness.problem import Problem
from harness.result import Result

if TYPE_CHECKING:
    from harness.precision.error_floor import ErrorFloor


@dataclass(frozen=True)
class Floors:
    """The floor of each tensor of a case.

    Attributes:
        source: where the answers with more digits come from, by ``harness.precision.error_floor``'s name; empty if
            there are none.
        reason: why there is no better source.
        largest: how far the baseline is off: the largest absolute error of each tensor.
        ill_conditioned: for each ill-conditioned tensor, why it is called so.
        unexplained: the error of the baseline in each tensor where it exceeds rounding.
    """

    source: str = ""
    reason: str = ""
    largest: Mapping[str, float] = field(default_factory=dict)
    ill_conditioned: Mapping[str, str] = field(default_factory=dict)
    unexplained: Mapping[str, str] = field(default_factory=dict)

    def remark(self, tensor: str) -> str:
        """Return what is to be said of a tensor; empty if nothing is."""
        return self.ill_conditioned.get(tensor) or self.unexplained.get(tensor, "")


def judged(
    floor: ErrorFloor, problem: Problem, expected: Result, noise: Mapping[str, float]
) -> tuple[Floors, dict[str, float]]:
    """Hold a floor against the tolerances.

    Args:
        floor: as measured.
        problem: the problem.
        expected: the baseline's result.
        noise: how far rounding alone moves each tensor, absolute.

    Returns:
        The floors, and the noise, raised where the reference's own error shows that rounding moved it further.
    """
    raised, ill, unexplained = dict(noise), {}, {}
    for name, errors in floor.errors.items():
        tensor = expected.tensors[name]
        bound = tolerances.bound(name, tensor, problem.case.tolerance, noise=noise.get(name))
        with np.errstate(all="ignore"):
            allowed = bound.atol + bound.rtol * np.abs(tensor.astype(np.float64))
        finite = np.isfinite(tensor)  # what is not finite is judged for that
        if (errors <= allowed)[finite].all():
            continue
        largest, rounding = float(errors[finite].max()), floor.rounding[name]
        off = f"the baseline is off by {largest:.3g} from the {floor.source} answer"
        if _has_kinks(problem):
            # One slope or the other: that is a choice, which a tolerance must not grow with.
            unexplained[name] = f"{off}; a pre-activation is at the kink of relu, within rounding"
            continue
        by_rounding = tolerances.bound(name, tensor, noise=max(noise.get(name, 0.0), rounding)).atol
        if largest <= by_rounding:
            ill[name] = f"ill-conditioned: {off}, more than the tolerance allows"
            raised[name] = max(noise.get(name, 0.0), rounding)
        else:
            unexplained[name] = f"{off}, which rounding does not explain"
    for name, tensor in expected.tensors.items():
        of_tensor = tolerances.noise_for(name, tensor.shape, raised)
        bound = tolerances.bound(name, tensor, problem.case.tolerance, noise=of_tensor)
        if bound.ill_conditioned and name not in ill:
            ill[name] = tolerances.ILL_CONDITIONED
    largest_of = {name: float(errors.max(initial=0.0)) for name, errors in floor.errors.items()}
    return Floors(floor.source, floor.reason, largest_of, ill, unexplained), raised


def _has_kinks(problem: Problem) -> bool:
    if problem.case.activation != "relu":
        return False
    from harness.precision.kinks import at_kink
    from harness.problem.reference import forward

    with np.errstate(all="ignore"):
        return any(each.any() for each in at_kink(forward(problem), problem.weights))


def remarked(comparison: Comparison, floors: Floors) -> Comparison:
    """Return a comparison with the floors' remarks in its tensors' reasons."""
    return replace(
        comparison,
        tensors=tuple(
            replace(each, reason="; ".join(dict.fromkeys(filter(None, [each.reason, floors.remark(each.tensor)]))))
            if floors.remark(each.tensor) not in each.reason
            else each
            for each in comparison.tensors
        ),
    )
