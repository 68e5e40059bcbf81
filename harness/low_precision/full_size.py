"""The check of an implementation at full size, on one problem. The derived pass runs in segments and is checked itself.

With one problem there is no t-value: the largest and the root mean square error are judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy import ndarray

from harness.derive.recording import Sequences
from harness.derive.segments import derivative_along
from harness.low_precision.checking import Answer, LowPrecision
from harness.low_precision.judging import measured
from harness.low_precision.problems import problems
from harness.low_precision.rounding import Simulation
from harness.precision.formats import Rounds
from harness.recurrences import Recurrence

NEAR = 1e-11
"""Maximum error of a directional derivative, relative to the sum of its terms without their signs."""

ABOUT = "At full size; the derived pass agrees with the derivative along a random direction."


def check_at_full_size(
    answer: Answer, recurrence: Recurrence, rounds: str | Mapping[str, str], sizes: Mapping[str, int]
) -> LowPrecision:
    """Check an implementation on one large problem.

    Args:
        answer: the implementation, a function from a problem to tensors by name.
        recurrence: the recurrence.
        rounds: where the implementation rounds; ``float32`` is a format, too.
        sizes: of letters, B and T.

    Raises:
        ValueError: if ``rounds`` has an unknown format or operation.
        DeclarationError: if a size is not the recurrence's.
        RuntimeError: if the derived pass is off from a derivative of the forward pass.
    """
    where = Rounds.of(rounds)
    (problem,) = problems(recurrence, where, sizes, count=1)
    simulation = Simulation(problem.sequences, where)
    off = error_along(problem.sequences, simulation.right)
    if not off <= NEAR:
        raise RuntimeError(f"{problem.case.name}: the derived pass is off by {off:.1e} along a random direction")
    drawn = ", ".join(f"{letter}={size}" for letter, size in sizes.items())
    case = replace(problem.case, name=f"{recurrence.name} with {where}, {drawn}", about=ABOUT)
    return LowPrecision(case, where, measured([answer(problem)], [simulation]), [])


def error_along(problem: Sequences, found: Mapping[str, ndarray]) -> float:
    """Return the error of gradients along a random direction, relative to the sum of the terms without their signs."""
    random = np.random.Generator(np.random.PCG64(0))
    names = [name for name in found if name not in ("loss", "outputs") and not name.startswith("last.")]
    directions = {name: random.normal(size=found[name].shape) for name in names}
    terms = [found[name] * directions[name] for name in names]
    total = sum(float(each.sum()) for each in terms)
    return abs(total - derivative_along(problem, directions)) / sum(float(np.abs(each).sum()) for each in terms)
