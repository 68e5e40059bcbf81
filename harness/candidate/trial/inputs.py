"""Whether the arrays that an implementation was given are still what they were."""

from __future__ import annotations

from collections.abc import Iterator

from numpy import ndarray

from harness.problem import Problem
from harness.result.remark import Remark


def altered(pristine: Problem, given: Problem) -> Iterator[Remark]:
    """Name the arrays of a problem that were altered.

    Args:
        pristine: the problem as it was.
        given: the copy that the implementation had.
    """
    before, after = pristine.spelled, given.spelled
    names = [name for name in before if name not in after or not _identical(before[name], after[name])]
    if names:
        yield Remark(
            "inputs altered",
            f"alters what it is given: {', '.join(names)}; compared all the same, on fresh copies, "
            "but a training loop would go on with the altered arrays",
        )


def _identical(one: ndarray, other: object) -> bool:
    return (
        isinstance(other, ndarray)
        and one.shape == other.shape
        and one.dtype == other.dtype
        and one.tobytes() == other.tobytes()
    )
